package process

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

const (
	// Between two looks at a tool that is still busy, after so many of which its output is read all the same.
	lookEvery = 50 * time.Microsecond
	looks     = 10

	// firstPause is the shortest for which a tool is stopped. A pause that gained something is followed by one twice as long, one that
	// gained nothing by one of a quarter.
	firstPause = 500 * time.Microsecond
	// gainRate is how many bytes a second have to have come since the begin of the last pause, or the tool waits for something else than
	// for the next packet: for its server to look for the next table, perhaps.
	gainRate = 120e6
	// shortestRest is for how long a tool is left alone when not even the shortest pauses gained something; it doubles each time, up
	// to longestRest, until there was a pause of the longest kind.
	shortestRest, longestRest = 50 * time.Millisecond, time.Second
)

// pace stops a tool for a moment when it seems to have caught up with its server, so that it wakes up to all that comes meanwhile
// and not to the next packet. A server pays for each time that it wakes who reads from it: one that sends 8 KiB at a time, as
// PostgreSQL does, spends a sixth of a dump on that (docs/decisions/0005).
type pace struct {
	process *Process
	stat    *os.File // /proc/<pid>/stat

	longest   time.Duration // that it may be stopped; Go's sleeps take up to a millisecond longer
	pause     time.Duration // the last one, 0 before the first
	begun     time.Time     // when it began
	taken     int64         // bytes that were read since
	rest      time.Duration // the last one, 0 before the first
	restUntil time.Time
}

// newPace is nil where processes can not be looked at.
func newPace(p *Process, longest time.Duration) *pace {
	stat, err := os.Open(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return nil
	}
	return &pace{process: p, stat: stat, longest: longest}
}

func (p *pace) close() { _ = p.stat.Close() }

// took counts what was read.
func (p *pace) took(n int) { p.taken += int64(n) }

// hold returns when the tool has had a pause, has been busy for a while, or waits because much is to be read. It never leaves it
// stopped.
func (p *pace) hold(much func() bool) {
	if time.Now().Before(p.restUntil) {
		time.Sleep(gatherTime)
		return
	}
	for range looks {
		if p.waits() {
			if !much() {
				p.stop()
			}
			return
		}
		time.Sleep(lookEvery)
	}
}

// stop stops the tool, unless that gains nothing now.
func (p *pace) stop() {
	now := time.Now()
	switch gained := p.pause == 0 || float64(p.taken) >= gainRate*now.Sub(p.begun).Seconds(); {
	case gained:
		if p.pause == p.longest {
			p.rest = 0
		}
		p.pause = min(max(firstPause, 2*p.pause), p.longest)
	case p.pause < 4*firstPause:
		p.rest = min(max(shortestRest, 2*p.rest), longestRest)
		p.pause, p.restUntil = 0, now.Add(p.rest)
		return
	default:
		p.pause /= 4
	}
	p.begun, p.taken = now, 0
	p.process.Pause()
	time.Sleep(p.pause)
	p.process.Resume()
	time.Sleep(lookEvery)
}

// waits reports whether the tool's first thread sleeps until something happens. False once it has ended.
func (p *pace) waits() bool {
	var stat [512]byte
	n, _ := p.stat.ReadAt(stat[:], 0) // io.EOF behind what there is
	fields := statFields(stat[:n])
	return len(fields) > 0 && bytes.Equal(fields[0], []byte("S"))
}
