package process

import (
	"os/exec"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// outputBuffer is how many bytes a paced tool writes at a time. A C library takes 4 KiB for a pipe, which costs pg_dump a third of
// its time.
const outputBuffer = 16 << 10

// stdbuf is the program of that name in coreutils, "" where there is none.
var stdbuf = sync.OnceValue(func() string {
	path, err := exec.LookPath("stdbuf")
	if err != nil {
		return ""
	}
	return path
})

// withOutputBuffer gives the command line that replaces itself by the tool, with the buffer. What can not be run is left to fail as
// itself.
func withOutputBuffer(path string, args []string) (string, []string) {
	if stdbuf() == "" || unix.Access(path, unix.X_OK) != nil {
		return path, args
	}
	return stdbuf(), append([]string{"--output=" + strconv.Itoa(outputBuffer), path}, args...)
}
