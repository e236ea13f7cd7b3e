package mysql

import (
	"os/exec"
	"sync"

	"github.com/dataguardian/dataguardian/internal/engine/process"
)

// outputBuffer is what a dump tool writes at once. By itself it writes a page at a time, and each write into a pipe costs
// it more than the page: the tool is one thread, and everything else waits for it (decisions/0019).
const outputBuffer = "128K"

// stdbuf is the program that gives another one such a buffer (GNU coreutils), "" where there is none.
var stdbuf = sync.OnceValue(func() string {
	path, err := exec.LookPath("stdbuf")
	if err != nil {
		return ""
	}
	return path
})

// buffered is command with a large output buffer where that can be had. stdbuf becomes the tool, so that exit status
// and signals are the tool's own.
func buffered(command process.Command) process.Command {
	if wrapper := stdbuf(); wrapper != "" {
		command.Args = append([]string{"--output=" + outputBuffer, command.Path}, command.Args...)
		command.Path = wrapper
	}
	return command
}
