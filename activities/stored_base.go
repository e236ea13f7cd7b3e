package activities

import (
	"context"
	"errors"
	"io"
	"sync"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// storedBase is the backup that a dump builds on, as its engine reads it. Its manifest is opened again
// when an engine asks for the first time: few do, and it may be as large as the memory that the writer
// has for known chunks.
type storedBase struct {
	job        *backup
	key, hash  string // of the manifest
	identities []age.Identity
	streams    []engine.Stream
	preparing  *preparation // set before the engine's dump begins

	once   sync.Once
	reader *archive.Reader
	layout *archive.Layout
	err    error
}

// load opens the manifest.
func (s *storedBase) load(ctx context.Context) error {
	s.once.Do(func() {
		manifest, err := archive.OpenManifest(ctx, s.job.store, s.key, s.hash)
		if err == nil {
			s.reader, err = archive.NewReader(s.job.store, manifest, s.identities, archive.ReaderOptions{})
		}
		if err != nil {
			s.err = failure.WithSubject(err, aboutStorage(s.job.storage.Name))
			return
		}
		s.layout = archive.NewLayout(manifest)
	})
	return s.err
}

// forEngine is what the engine is given; nil for a full.
func (s *storedBase) forEngine(job *backup) *engine.Base {
	if s == nil {
		return nil
	}
	return &engine.Base{Type: job.execution.BackupType, Streams: s.streams, Open: s.open, Reusable: s.reusable}
}

func (s *storedBase) open(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	r, err := s.reader.OpenStreamAt(ctx, name, offset)
	return r, failure.WithSubject(err, aboutStorage(s.job.storage.Name))
}

// reusable waits until it is known which chunks the storage location has.
func (s *storedBase) reusable(ctx context.Context, r engine.Range) (bool, error) {
	if _, err := s.preparing.wait(ctx); err != nil {
		return false, err
	}
	run, err := s.run(ctx, r)
	if failure.ClassOf(err) == failure.ConfigInvalid {
		return false, nil // it was not a segment
	}
	return err == nil && s.preparing.known.Holds(run), err
}

func (s *storedBase) run(ctx context.Context, r engine.Range) (archive.Run, error) {
	if s == nil {
		return archive.Run{}, failure.Wrap(failure.ConfigInvalid, "reuse part of the base", errors.New("the backup has no base"), "")
	}
	if err := s.load(ctx); err != nil {
		return archive.Run{}, err
	}
	return s.layout.Run(r.Stream, r.Offset, r.Bytes)
}

// storable is a stream of an engine as the archive takes it.
func (s *storedBase) storable(ctx context.Context, r io.Reader) io.Reader {
	if segmented, ok := r.(engine.Segmented); ok {
		return segmentedDump{dumpReader{r}, ctx, segmented, s}
	}
	if parted, ok := r.(archive.Parted); ok {
		return partedDump{dumpReader{r}, parted}
	}
	return dumpReader{r}
}

// partedDump is dumpReader for a stream that knows its parts.
type partedDump struct {
	dumpReader
	parted archive.Parted
}

// Parts are the stream's own.
func (p partedDump) Parts() []int64 { return p.parted.Parts() }

// segmentedDump is dumpReader for a stream of segments, and says what chunks the base's ranges are.
type segmentedDump struct {
	dumpReader
	ctx  context.Context //nolint:containedctx // of the one call that reads it: archive.Segmented has none
	from engine.Segmented
	base *storedBase
}

func (s segmentedDump) Next() (archive.Segment, error) {
	next, err := s.from.Next()
	if err == io.EOF { //nolint:errorlint // the interface's contract
		return archive.Segment{}, io.EOF
	}
	if err != nil {
		return archive.Segment{}, failure.WithSide(err, failure.Datasource)
	}
	if next.Data != nil {
		return archive.Segment{Data: dumpReader{next.Data}}, nil
	}
	run, err := s.base.run(s.ctx, next.Base)
	return archive.Segment{Reused: run}, err
}
