package storage

import (
	"context"
	"io"
)

// ContextReader reads R until Ctx ends, whose error is then that of every Read.
type ContextReader struct {
	Ctx context.Context //nolint:containedctx // a reader lives as long as the call that opened it
	R   io.Reader
}

// Read checks the context before each read.
func (c *ContextReader) Read(p []byte) (int, error) {
	if err := c.Ctx.Err(); err != nil {
		return 0, err
	}
	return c.R.Read(p)
}
