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
	// gained nothing by one of a quarter, or by a rest.
	firstPause = 500 * time.Microsecond
	// gainRate is how many bytes a second have to come for a pause to gain something, at least. With less a tool waits for something else
	// than for the next packet: for its server to look for the next table, perhaps.
	gainRate = 120e6
	// shortestRest is for how long a tool is left alone when its pauses gained nothing; it doubles each time, up to longestRest, until
	// one of the longest pauses has gained something.
	shortestRest, longestRest = 50 * time.Millisecond, time.Second
	// mostAhead is how often in a row a tool is stopped before it was seen to catch up. By then it would have.
	mostAhead = 5
)

// pace stops a tool for a moment when it has caught up with its server, or is about to, so that it wakes up to all that comes meanwhile
// and not to the next packet. A server pays for each time that it wakes who reads from it: one that sends 8 KiB at a time, as
// PostgreSQL does, spends a sixth of a dump on that (docs/decisions/0005). It is for one goroutine.
type pace struct {
	process *Process
	stat    *os.File // /proc/<pid>/stat

	longest time.Duration // that it may be stopped; Go's sleeps take up to a millisecond longer
	pause   time.Duration // the last one, 0 before the first, and from a rest on
	since   time.Time     // when the last pause, or the last rest, began
	taken   int64         // bytes that were written since then
	ended   time.Time     // when the last pause ended
	run     time.Duration // from ended on, until it has nearly caught up if all is as it was; 0 is not known
	ahead   int           // how often it was stopped by that
	rest    time.Duration // the last one, 0 as long as all gains
	alone   float64       // bytes a second that came during the last rest
}

// newPace is nil where processes can not be looked at. The tool is left alone first.
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
// its pipe waits for us, and not for its server. size tells how many bytes the pipe has.
func (p *pace) steady(size func() int) {
	if p.run == 0 || time.Since(p.ended) < p.run {
		return
	}
	found := size()
	if found >= pipeBytes/2 {
		return
	}
	p.run += p.run / 32 // until it is seen to catch up again
	if p.ahead++; p.ahead == mostAhead {
		p.run = 0
	}
	p.stop(found)
}

// hold returns when the tool has had a pause, has been busy or left alone for a while, or waits because much is to be read. It never
// leaves it stopped.
func (p *pace) hold(size func() int) {
	if p.pause == 0 && time.Since(p.since) < p.rest {
		time.Sleep(gatherTime)
		return
	}
	for range looks {
		if p.waits() {
			if found := size(); found < fewBytes {
				p.caughtUp(found)
			}
			return
		}
		time.Sleep(lookEvery)
	}
}

// caughtUp stops the tool, unless that gains nothing now. found is what the pipe has, in bytes.
func (p *pace) caughtUp(found int) {
	now := time.Now()
	if p.since.IsZero() {
		p.leaveAlone(now, found)
		return
	}
	rate := float64(p.taken+int64(found)) / now.Sub(p.since).Seconds()
	p.run, p.ahead = 0, 0
	switch {
	case p.pause == 0:
		p.alone, p.pause = rate, min(firstPause, p.longest)
	case rate >= max(gainRate, 0.8*p.alone):
		if p.pause == p.longest {
			p.rest, p.run = 0, now.Sub(p.ended)*7/8
		}
		p.pause = min(2*p.pause, p.longest)
	case p.pause < 4*firstPause:
		p.leaveAlone(now, found)
		return
	default:
		p.pause /= 4
	}
	p.stop(found)
}

func (p *pace) leaveAlone(now time.Time, found int) {
	p.rest = min(max(shortestRest, 2*p.rest), longestRest)
	p.pause, p.since, p.taken = 0, now, -int64(found)
}

func (p *pace) stop(found int) {
	p.since, p.taken = time.Now(), -int64(found)
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
