package files_test

import (
	"context"
	"io"
	"sync"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/files"
)

func tryDump(ctx context.Context, src engine.Source, base *backup) (*backup, error) {
	opts := engine.DumpOptions{}
	if base != nil {
		opts.Base = base.asBase()
	}
	b := &backup{segments: map[engine.Range]bool{}}
	var mu sync.Mutex
	var streams []enginetest.Archive
	var err error
	b.report, err = files.New(files.Options{}).Dump(ctx, src, opts, func(ctx context.Context, s engine.Stream, r io.Reader) error {
		if segmented, ok := r.(engine.Segmented); ok {
			r = &noting{Segmented: segmented, b: b, base: base}
		}
		content, err := io.ReadAll(enginetest.Flat(ctx, r, opts.Base))
		mu.Lock()
		defer mu.Unlock()
		s.Bytes = int64(len(content))
		streams = append(streams, enginetest.Archive{Stream: s, Bytes: content})
		return err
	})
	if len(streams) > 0 {
		b.Archive = streams[0]
		b.Others = streams[1:]
	}
	return b, err
}

// noting notes where segments begin and end.
type noting struct {
	engine.Segmented
	b    *backup
	base *backup
	at   int64
	data *counting
}

func (n *noting) Next() (engine.Segment, error) {
	if n.data != nil {
		n.b.segments[engine.Range{Stream: "files.tar", Offset: n.at, Bytes: n.data.n}] = true
		n.at += n.data.n
		n.b.read += n.data.n
		n.data = nil
	}
	s, err := n.Segmented.Next()
	if err != nil {
		return s, err
	}
	if s.Data != nil {
		n.data = &counting{r: s.Data}
		s.Data = n.data
		return s, nil
	}
	for old := range n.base.segments { // what is named may be several of the base's
		if old.Offset >= s.Base.Offset && old.Offset+old.Bytes <= s.Base.Offset+s.Base.Bytes {
			old.Offset += n.at - s.Base.Offset
			n.b.segments[old] = true
		}
	}
	n.at += s.Base.Bytes
	return s, nil
}

type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// asBase is the backup as a later one sees it. A range is reusable if it is made of whole segments.
func (b *backup) asBase() *engine.Base {
	base := &engine.Base{Type: domain.Incremental, Open: b.Opener()}
	ends := map[int64]bool{}
	for s := range b.segments {
		ends[s.Offset], ends[s.Offset+s.Bytes] = true, true
	}
	for _, s := range b.Streams() {
		base.Streams = append(base.Streams, s.Stream)
	}
	base.Reusable = func(_ context.Context, r engine.Range) (bool, error) {
		return r.Stream == "files.tar" && ends[r.Offset] && ends[r.Offset+r.Bytes], nil
	}
	return base
}

// stream is one of the backup's.
func (b *backup) stream(name string) []byte {
	for _, s := range b.Streams() {
		if s.Stream.Name == name {
			return s.Bytes
		}
	}
	return nil
}
