package process

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

const (
	// pauseTime is the least for which a tool is stopped: Go's sleeps take up to a millisecond longer. What its server sends meanwhile
	// has to find room in the connection's buffers, or the server waits too.
	pauseTime = 500 * time.Microsecond
	// Between two looks at a tool that is still busy, after so many of which its output is read all the same.
	lookEvery = 50 * time.Microsecond
	looks     = 10
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

// hold returns when the tool has had a pause, has been busy for a while, or waits because much is to be read. It never leaves it
// stopped.
func (p *pace) hold(much func() bool) {
	for range looks {
		if p.waits() {
			if much() {
				return
			}
			p.process.Pause()
			time.Sleep(pauseTime)
			p.process.Resume()
			time.Sleep(lookEvery)
			return
		}
		time.Sleep(lookEvery)
	}
}

// waits reports whether the tool's first thread sleeps until something happens. False once it has ended.
func (p *pace) waits() bool {
	var stat [512]byte
	n, _ := p.stat.ReadAt(stat[:], 0) // io.EOF behind what there is
	fields := statFields(stat[:n])
	return len(fields) > 0 && bytes.Equal(fields[0], []byte("S"))
}
