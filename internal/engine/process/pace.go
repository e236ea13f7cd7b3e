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

// pace stops a tool for a moment when it has caught up with its server, or is about to, so that it wakes up to all that comes meanwhile
// and not to the next packet. A server pays for each time that it wakes who reads from it: one that sends 8 KiB at a time, as
// PostgreSQL does, spends a sixth of a dump on that (docs/decisions/0005).
type pace struct {
	process *Process
	stat    *os.File // /proc/<pid>/stat

	longest   time.Duration // that it may be stopped; Go's sleeps take up to a millisecond longer
	pause     time.Duration // the last one, 0 before the first
	begun     time.Time     // when it began
	ended     time.Time     // when it ended
	taken     int64         // bytes that were read since it began
	run       time.Duration // from ended on, until it has nearly caught up if all is as it was; 0 is not known
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

// steady stops a tool that sends much a little before it has caught up: then its server has to wake it not even once. One that fills
// its pipe waits for us, and not for its server.
func (p *pace) steady(has func(bytes int) bool) {
	if p.run > 0 && time.Since(p.ended) >= p.run && !has(pipeBytes/2) {
		p.run += p.run / 32 // until it is seen to catch up again
		p.stop()
	}
}

// hold returns when the tool has had a pause, has been busy for a while, or waits because much is to be read. It never leaves it
// stopped.
func (p *pace) hold(has func(bytes int) bool) {
	if time.Now().Before(p.restUntil) {
		time.Sleep(gatherTime)
		return
	}
	for range looks {
		if p.waits() {
			if !has(fewBytes) {
				p.caughtUp()
			}
			return
		}
		time.Sleep(lookEvery)
	}
}

// caughtUp stops the tool, unless that gains nothing now.
func (p *pace) caughtUp() {
	now := time.Now()
	p.run = 0
	switch gained := p.pause == 0 || float64(p.taken) >= gainRate*now.Sub(p.begun).Seconds(); {
	case gained:
		if p.pause == p.longest {
			p.rest = 0
			p.run = now.Sub(p.ended) * 7 / 8
		}
		p.pause = min(max(firstPause, 2*p.pause), p.longest)
	case p.pause < 4*firstPause:
		p.rest = min(max(shortestRest, 2*p.rest), longestRest)
		p.pause, p.restUntil = 0, now.Add(p.rest)
		return
	default:
		p.pause /= 4
	}
	p.stop()
}

func (p *pace) stop() {
	p.begun, p.taken = time.Now(), 0
	p.process.Pause()
	time.Sleep(p.pause)
	p.process.Resume()
	p.ended = time.Now()
	time.Sleep(lookEvery)
}

// waits reports whether the tool's first thread sleeps until something happens. False once it has ended.
func (p *pace) waits() bool {
	var stat [512]byte
	n, _ := p.stat.ReadAt(stat[:], 0) // io.EOF behind what there is
	fields := statFields(stat[:n])
	return len(fields) > 0 && bytes.Equal(fields[0], []byte("S"))
}
