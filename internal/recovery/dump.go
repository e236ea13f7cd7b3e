package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const dumpStream = "dump the backup"

// Dump writes the plain bytes of one stream to w; "" is the only one there is. Every chunk is checked
// before it is written, so what w got before an error is right, but not all. Errors: NotFound for an
// unknown stream, AuthFailed without an identity that opens the backup, Corrupt.
func (r *Recovery) Dump(ctx context.Context, b Backup, stream string, w io.Writer) (int64, error) {
	reader, err := archive.NewReader(r.Store, b.Manifest, r.Identities, archive.ReaderOptions{})
	if err != nil {
		return 0, err
	}
	if stream, err = streamName(b.Manifest, stream); err != nil {
		return 0, err
	}
	return copyStream(ctx, reader, stream, w)
}

func streamName(m *archive.Manifest, wanted string) (string, error) {
	var names []string
	for _, s := range m.Streams {
		if s.Name == wanted {
			return s.Name, nil
		}
		names = append(names, fmt.Sprintf("%q", s.Name))
	}
	if wanted == "" && len(m.Streams) == 1 {
		return m.Streams[0].Name, nil
	}
	if wanted == "" {
		return "", failure.New(failure.ConfigInvalid, dumpStream, "the backup has several streams: "+strings.Join(names, ", "),
			"Name one with --stream, or write all of them with: dataguardian recover restore --to dir:FOLDER.")
	}
	return "", failure.New(failure.NotFound, dumpStream, fmt.Sprintf("the backup has no stream %q; it has %s", wanted, strings.Join(names, ", ")), "")
}

func copyStream(ctx context.Context, reader *archive.Reader, name string, w io.Writer) (int64, error) {
	content, err := reader.OpenStream(ctx, name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = content.Close() }()
	n, err := io.Copy(w, content)
	return n, failure.Wrap(failure.Unknown, "write stream "+name, err, "")
}

// DumpToFile is Dump into a file, which is whole and durable, with mode 0600, or not there. One that
// exists is only replaced with force. Errors besides those of Dump: ConfigInvalid.
func (r *Recovery) DumpToFile(ctx context.Context, b Backup, stream, path string, force bool) (n int64, err error) {
	if _, err := os.Lstat(path); err == nil && !force {
		return 0, existing(path)
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".dataguardian-recover-*")
	if err != nil {
		return 0, failure.Wrap(failure.ConfigInvalid, dumpStream, err, "Give a file in a directory that this user may write to.")
	}
	defer func() { _ = os.Remove(temporary.Name()) }() // gone already when all went well
	defer func() { _ = temporary.Close() }()
	if n, err = r.Dump(ctx, b, stream, temporary); err != nil {
		return n, err
	}
	if err := errors.Join(temporary.Sync(), temporary.Close()); err != nil {
		return n, failure.Wrap(failure.Unknown, "make "+path+" durable", err, "")
	}
	return n, place(temporary.Name(), path, force)
}

// place gives a finished file its name. Without force a link does it, which fails if somebody else
// made the file meanwhile; a file system without links gets the check and the rename.
func place(temporary, path string, force bool) error {
	if !force {
		err := os.Link(temporary, path)
		if err == nil {
			return syncDir(filepath.Dir(path))
		}
		if _, there := os.Lstat(path); errors.Is(err, fs.ErrExist) || there == nil {
			return existing(path)
		}
	}
	if err := os.Rename(temporary, path); err != nil {
		return failure.Wrap(failure.ConfigInvalid, "name "+path, err, "")
	}
	return syncDir(filepath.Dir(path))
}

func existing(path string) error {
	return failure.New(failure.ConfigInvalid, dumpStream, path+" exists", "Give another file, or --force to replace it.")
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	return failure.Wrap(failure.Unknown, "make "+path+" durable", err, "")
}
