package activities

import (
	"sync/atomic"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// byteCounter counts what a reading step has read, from several goroutines.
type byteCounter struct {
	phase          domain.Phase
	total          int64
	objects, bytes atomic.Int64
}

func newByteCounter(phase domain.Phase, total int64) *byteCounter {
	return &byteCounter{phase: phase, total: total}
}

// add counts one object of n bytes.
func (c *byteCounter) add(n int64) {
	c.objects.Add(1)
	c.bytes.Add(n)
}

func (c *byteCounter) progress() domain.Progress {
	return domain.Progress{Phase: c.phase, Bytes: c.bytes.Load(), Total: c.total, Chunks: c.objects.Load()}
}
