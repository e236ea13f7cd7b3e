// Package process runs the client tools of database engines: no shell, no inherited environment, a
// process group of their own, and nothing left of that group when a call returns.
package process

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// DefaultGrace is how long a group has to end after SIGTERM before it gets SIGKILL.
const DefaultGrace = 5 * time.Second

// tailBytes bounds what is kept of a child's standard error: its last 16 KiB.
const tailBytes = 16 << 10

// Command describes a child process. Nothing is inherited: Env is its whole environment, but for what stdbuf adds, and a nil
// Stdin or Stdout is /dev/null.
type Command struct {
	Path string   // absolute path of the program
	Args []string // arguments after the program's name
	Env  []string // NAME=value pairs
	Dir  string   // working directory, "" is this process's own

	// Stdin and Stdout are handed to the child as they are, without a copy in between. Start does
	// not close them; Pull and Push make their own pipes and ignore the one they make.
	Stdin, Stdout *os.File

	// Grace is the time between SIGTERM and SIGKILL, 0 is DefaultGrace.
	Grace time.Duration

	// IdleTimeout ends the child with failure.Timeout when Meter saw no byte for so long. 0 is
	// never. Pull and Push feed a meter of their own when Meter is nil.
	IdleTimeout time.Duration
	Meter       *Meter

	// OutputBuffer is how many bytes a tool that writes by its C library's streams writes at a time, where stdbuf is installed; 0
	// is as it does by itself, which is 4 KiB into a pipe.
	OutputBuffer int

	// Pause is for a tool of a single thread that does little but pass on what a server sends: Pull stops it for up to about so long
	// when it has caught up with its server, so that this does not have to wake it for every packet. What comes meanwhile has
	// to find room in the connection's buffers, or the server waits too. One of several threads may seem to wait while it works,
	// and would be slowed down. 0 is never.
	Pause time.Duration

	// Secrets are replaced in whatever is shown of the child's standard error.
	Secrets []string
}

// ExitError is a child that ended with a status other than 0, or by a signal. Stderr is the redacted
// tail of what it wrote to standard error, at most 16 KiB.
type ExitError struct {
	Program string
	Code    int    // exit status, -1 when a signal ended it
	Signal  string // name of the signal, "" for an exit
	Stderr  string
}

// Error reads: pg_dump ended with status 1: last lines of its standard error.
func (e *ExitError) Error() string {
	how := fmt.Sprintf("status %d", e.Code)
	if e.Signal != "" {
		how = "signal " + e.Signal
	}
	said := lastLines(e.Stderr, 6)
	if said == "" {
		return fmt.Sprintf("%s ended with %s and no message", e.Program, how)
	}
	return fmt.Sprintf("%s ended with %s: %s", e.Program, how, said)
}

// lastLines joins the last n lines of text that are not empty.
func lastLines(text string, n int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "; ")
}
