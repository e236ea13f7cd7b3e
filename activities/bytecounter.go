package activities

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// byteCounter follows a step that reads a backup: either its stored objects, or its plain streams.
type byteCounter struct {
	phase          domain.Phase
	plain, stored  int64 // what there is to read
	total          atomic.Int64
	objects, bytes atomic.Int64
	server         serverShare
}

func newByteCounter(phase domain.Phase, m *archive.Manifest) *byteCounter {
	return &byteCounter{phase: phase, plain: m.PlainBytes(), stored: m.StoredBytes()}
}

// seen takes how far a check of stored objects has come; it is an archive.Progress.
func (c *byteCounter) seen(objects, bytes int64) {
	c.total.Store(c.stored)
	c.objects.Store(objects)
	c.bytes.Store(bytes)
}

// open opens a stream at an offset; its plain bytes are counted as they are read.
func (c *byteCounter) open(ctx context.Context, reader *archive.Reader, name string, offset int64) (io.ReadCloser, error) {
	stream, err := reader.OpenStreamAt(ctx, name, offset)
	if err != nil {
		return nil, err
	}
	c.total.Store(c.plain)
	return &countedStream{ReadCloser: stream, counter: c}, nil
}

// progress never shows more than all: some of a stream may be read twice (the index of files is), and its
// description may not count what surrounds the data.
func (c *byteCounter) progress() domain.Progress {
	bytes, total := c.bytes.Load(), c.total.Load()
	if total > 0 {
		bytes = min(bytes, total)
	}
	return domain.Progress{Phase: c.phase, Bytes: bytes, Total: total, Chunks: c.objects.Load(), ServerPercent: c.server.percent()}
}

type countedStream struct {
	io.ReadCloser
	counter *byteCounter
}

func (s *countedStream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.counter.bytes.Add(int64(n))
	return n, err
}

// WriteTo lets the stream show its bytes where they are.
func (s *countedStream) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(countedWriter{w, s.counter}, s.ReadCloser)
}

type countedWriter struct {
	io.Writer
	counter *byteCounter
}

func (w countedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.counter.bytes.Add(int64(n))
	return n, err
}
