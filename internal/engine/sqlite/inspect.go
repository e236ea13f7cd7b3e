package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Inspect writes the stream to a private file, checks it with PRAGMA quick_check and counts its tables.
func (e *Engine) Inspect(ctx context.Context, s engine.Stream, r io.Reader) (tables int, err error) {
	const op = "inspect the backup"
	if _, err := mainStream([]engine.Stream{s}); err != nil {
		return 0, err
	}
	size, err := sizeOf(s)
	if err != nil {
		return 0, err
	}
	dir, err := newTempDir(e.tempDir, size)
	if err != nil {
		return 0, classify(op, err)
	}
	defer dir.remove()
	path := dir.file("inspected.db")
	if err := receive(ctx, path, r, size); err != nil {
		return 0, classify(op, err)
	}
	verdict, err := check(ctx, path, quickCheck)
	return verdict.tables, classify(op, err)
}

// sizeOf is how many bytes the stream had when it was dumped.
func sizeOf(s engine.Stream) (int64, error) {
	size, err := strconv.ParseInt(s.Properties[propBytes], 10, 64)
	if err != nil || size <= 0 {
		return 0, failure.New(failure.Corrupt, "read the backup", fmt.Sprintf("its property %s is %q", propBytes, s.Properties[propBytes]),
			"The backup is damaged; restore another one.")
	}
	return size, nil
}

// receive writes exactly size bytes to a new file, durably. An error of r is returned as it is.
func receive(ctx context.Context, path string, r io.Reader, size int64) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // a path of ours
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	from := &incoming{ctx: ctx, r: r}
	written, err := io.CopyBuffer(struct{ io.Writer }{file}, io.LimitReader(from, size), make([]byte, 1<<20))
	if from.err != nil {
		return from.err
	}
	if err != nil {
		return err
	}
	more, err := io.Copy(io.Discard, from) // the end may be what tells of damage
	if err != nil {
		return err
	}
	if written != size || more > 0 {
		return failure.New(failure.Corrupt, "read the backup", fmt.Sprintf("it has %d bytes instead of %d", written+more, size),
			"The backup is damaged; restore another one.")
	}
	return file.Sync()
}

// incoming reads until the context ends, and remembers that it was the reading side that failed.
type incoming struct {
	ctx context.Context //nolint:containedctx // lives as long as one call of receive
	r   io.Reader
	err error
}

func (i *incoming) Read(b []byte) (int, error) {
	if i.err = i.ctx.Err(); i.err != nil {
		return 0, i.err
	}
	n, err := i.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		i.err = err
	}
	return n, err
}
