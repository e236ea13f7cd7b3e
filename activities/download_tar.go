package activities

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"time"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// dumpTar is the streams of a backup as a tar, each a file of its name. What a Postgres dump keeps in archives of
// many small files is unpacked on the way, so that the extracted tar is what pg_restore --format=directory reads.
type dumpTar struct {
	open     func(ctx context.Context, name string) (io.ReadCloser, error)
	streams  []archive.Stream
	finished time.Time
}

func (d dumpTar) write(ctx context.Context, w io.Writer) error {
	out := tar.NewWriter(w)
	for _, s := range d.streams {
		if err := d.add(ctx, out, s); err != nil {
			return failure.Wrap(failure.ClassOf(err), fmt.Sprintf("read stream %q", s.Name), err, failure.HintOf(err))
		}
	}
	return out.Close() // a tar that broke off has no end
}

func (d dumpTar) add(ctx context.Context, out *tar.Writer, s archive.Stream) error {
	stream, err := d.open(ctx, s.Name)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	if s.Format != formatBundle {
		return d.file(out, s.Name, s.Bytes, stream)
	}
	bundle := tar.NewReader(stream)
	for {
		header, err := bundle.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, stream)
			return err
		}
		if err != nil {
			return failure.Wrap(failure.Corrupt, "unpack it", err, "")
		}
		if header.Typeflag != tar.TypeReg {
			return failure.New(failure.Corrupt, "unpack it", fmt.Sprintf("%.80q is no file", header.Name), "")
		}
		if err := d.file(out, path.Join(path.Dir(s.Name), header.Name), header.Size, bundle); err != nil { //nolint:gosec // a name in the tar that is sent, no path of ours
			return err
		}
	}
}

func (d dumpTar) file(out *tar.Writer, name string, size int64, content io.Reader) error {
	if !filepath.IsLocal(name) {
		return failure.New(failure.Corrupt, "name a file", fmt.Sprintf("%.80q leads out of the archive", name), "")
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: size, ModTime: d.finished}
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	// A stream that is shorter than its length is found by the next header, or by the end.
	_, err := io.Copy(out, content)
	return err
}
