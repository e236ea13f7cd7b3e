package enginetest

import (
	"context"
	"fmt"
	"io"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// Flat reads a stream that may be Segmented as one of bytes. What it names of the base is read from it.
func Flat(ctx context.Context, r io.Reader, base *engine.Base) io.Reader {
	segmented, ok := r.(engine.Segmented)
	if !ok {
		return r
	}
	return &flat{ctx: ctx, from: segmented, base: base}
}

type flat struct {
	ctx     context.Context //nolint:containedctx // the stream's own
	from    engine.Segmented
	base    *engine.Base
	current io.Reader
	left    int64         // of a range of the base, else -1
	opened  io.ReadCloser // of the base
}

func (f *flat) Read(p []byte) (int, error) {
	for {
		if f.current == nil {
			if err := f.next(); err != nil {
				return 0, err
			}
		}
		n, err := f.current.Read(p)
		if f.left >= 0 {
			f.left -= int64(n)
		}
		if err != io.EOF { //nolint:errorlint // io.Reader's contract
			return n, err
		}
		if f.left > 0 {
			return n, fmt.Errorf("the base ends %d bytes before the range that is reused: %w", f.left, io.ErrUnexpectedEOF)
		}
		f.current = nil
		if f.opened != nil {
			_ = f.opened.Close()
			f.opened = nil
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (f *flat) next() error {
	segment, err := f.from.Next()
	if err != nil {
		return err
	}
	f.current, f.left = segment.Data, -1
	if segment.Data != nil {
		return nil
	}
	if f.opened, err = f.base.Open(f.ctx, segment.Base.Stream, segment.Base.Offset); err != nil {
		return err
	}
	f.current, f.left = io.LimitReader(f.opened, segment.Base.Bytes), segment.Base.Bytes
	return nil
}
