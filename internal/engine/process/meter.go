package process

import (
	"bytes"
	"sync/atomic"
	"time"
)

// Meter counts the bytes that move through a child's pipes and remembers when the last one did. It
// is safe for concurrent use; the zero value is ready.
type Meter struct {
	bytes atomic.Int64
	last  atomic.Int64 // nanoseconds since the epoch
}

// Add records that n bytes moved just now.
func (m *Meter) Add(n int) {
	if n > 0 {
		m.bytes.Add(int64(n))
		m.last.Store(time.Now().UnixNano())
	}
}

// Bytes is how many bytes moved so far.
func (m *Meter) Bytes() int64 { return m.bytes.Load() }

// idle is how long no byte moved, counted from start when none ever did.
func (m *Meter) idle(start time.Time) time.Duration {
	last := m.last.Load()
	if last == 0 {
		return time.Since(start)
	}
	return time.Since(time.Unix(0, last))
}

// tail keeps the last limit bytes written to it. Only one goroutine writes, and it is read after
// that one ended.
type tail struct {
	limit int
	kept  []byte
	cut   bool // there was more before it
}

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*t.limit {
		t.kept, t.cut = append(t.kept[:0], t.kept[len(t.kept)-t.limit:]...), true
	}
	return n, nil
}

func (t *tail) String() string {
	text, cut := t.kept, t.cut
	if len(text) > t.limit {
		text, cut = text[len(text)-t.limit:], true
	}
	if cut { // it may begin within a secret, of which nobody would know the end
		for _, end := range []string{"\n", " "} {
			if _, rest, found := bytes.Cut(text, []byte(end)); found && len(rest) > 0 {
				return string(rest)
			}
		}
	}
	return string(text)
}
