package process

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pauseTime is how long a tool is stopped. What its server sends meanwhile has to find room in the connection's buffers, or the
	// server waits too.
	pauseTime = time.Millisecond
	// Between two looks at a tool that is still busy, and how long it is looked at before its output is read all the same.
	lookEvery = 50 * time.Microsecond
	lookFor   = time.Millisecond
)

// pace stops a tool for a moment when it seems to have caught up with its server, so that it wakes up to all that comes meanwhile
// and not to the next packet. A server pays for each time that it wakes who reads from it: one that sends 8 KiB at a time, as
// PostgreSQL does, spends a sixth of a dump on that (docs/decisions/0005).
type pace struct {
	process *Process
	stat    *os.File // /proc/<pid>/stat
}

// newPace is nil where processes can not be looked at.
func newPace(p *Process) *pace {
	stat, err := os.Open(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return nil
	}
	return &pace{process: p, stat: stat}
}

func (p *pace) close() { _ = p.stat.Close() }

// hold returns when the tool has had a pause, has been busy for a while, or has much to be read. It never leaves it stopped.
func (p *pace) hold(much func() bool) {
	for began := time.Now(); time.Since(began) < lookFor && !much(); nap(lookEvery) {
		if p.waits() {
			p.process.Pause()
			nap(pauseTime)
			p.process.Resume()
			nap(lookEvery)
			return
		}
	}
}

// waits reports whether the tool's first thread sleeps until something happens. False once it has ended.
func (p *pace) waits() bool {
	var stat [512]byte
	n, _ := p.stat.ReadAt(stat[:], 0) // io.EOF behind what there is
	fields := statFields(stat[:n])
	return len(fields) > 0 && bytes.Equal(fields[0], []byte("S"))
}

// nap is a sleep that may be shorter than a millisecond, to which Go's own are rounded up where the process has nothing else to do.
func nap(d time.Duration) {
	rest := unix.NsecToTimespec(d.Nanoseconds())
	for unix.Nanosleep(&rest, &rest) == unix.EINTR { //nolint:errorlint,revive // a bare number, and there is nothing to do in between
	}
}
