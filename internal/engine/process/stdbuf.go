package process

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// probeTimeout is how long stdbuf may take to show that it works.
const probeTimeout = 10 * time.Second

// stdbuf is the program of that name, which gives another one a larger buffer for its standard output, "" where there is none that
// can be used. GNU's becomes the other program. Others stay its parent: then what is done to the process, and its end, would not be
// the tool's. And one without its library fails.
var stdbuf = sync.OnceValue(func() string {
	path, err := exec.LookPath("stdbuf")
	if err != nil || !becomesTool(path) {
		return ""
	}
	return path
})

// becomesTool reports whether a program can be started by the stdbuf at path, and is then the process that was started.
func becomesTool(path string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	var said strings.Builder
	probe := exec.CommandContext(ctx, path, "--output=4096", "/bin/sh", "-c", "echo $$") //nolint:gosec // what PATH has
	probe.Stdout = &said
	return probe.Run() == nil && strings.TrimSpace(said.String()) == strconv.Itoa(probe.Process.Pid)
}

// line is the command line of the child, which stdbuf begins if the tool is to have a buffer. What can not be run is left to fail
// as itself.
func (c Command) line() (path string, args []string) {
	if c.OutputBuffer == 0 || stdbuf() == "" || unix.Access(c.Path, unix.X_OK) != nil {
		return c.Path, c.Args
	}
	return stdbuf(), append([]string{"--output=" + strconv.Itoa(c.OutputBuffer), c.Path}, c.Args...)
}
