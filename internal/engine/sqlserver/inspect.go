package sqlserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// magic begins every backup of SQL Server: the type of the first descriptor block of the Microsoft Tape Format.
const magic = "TAPE"

// Inspect reads a stream to its end: it begins as a backup of SQL Server and has as many bytes as the
// server's file had. Only a server can look into it, with RESTORE VERIFYONLY, which a verification by
// restore does; the number of tables is therefore what was counted when the backup was made.
func (e *Engine) Inspect(ctx context.Context, s engine.Stream, r io.Reader) (int, error) {
	const op = "read the backup"
	if s.Format != Format {
		return 0, failure.New(failure.Unsupported, op, "nothing is known of format "+strconv.Quote(s.Format), "")
	}
	size, err := sizeOf(s)
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{&checked{ctx: ctx, r: r, left: size}}); err != nil {
		return 0, err
	}
	tables, err := strconv.Atoi(s.Properties[propTables])
	if err != nil {
		return 0, nil //nolint:nilerr // the full below a differential, which has the number
	}
	return tables, nil
}

// sizeOf is how many bytes the server wrote.
func sizeOf(s engine.Stream) (int64, error) {
	size, err := strconv.ParseInt(s.Properties[propBytes], 10, 64)
	if err != nil {
		return 0, failure.New(failure.Corrupt, "read the backup", "nothing tells how many bytes the server wrote", hintDamaged)
	}
	return size, nil
}

// checked passes a backup on and ends with io.EOF only if it began as one and had the right length.
type checked struct {
	ctx   context.Context //nolint:containedctx // of the one call that reads it
	r     io.Reader
	left  int64  // bytes to come; negative is too many
	begin []byte // the first ones
	whole bool   // the right end was seen
}

func (c *checked) Read(p []byte) (int, error) {
	const op = "read the backup"
	if err := c.ctx.Err(); err != nil {
		return 0, failure.Wrap(failure.ClassOf(err), op, err, "")
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	if missing := len(magic) - len(c.begin); missing > 0 {
		c.begin = append(c.begin, p[:min(n, missing)]...)
	}
	switch {
	case string(c.begin) != magic[:len(c.begin)]:
		return 0, failure.New(failure.Corrupt, op, fmt.Sprintf("it begins with %q, not with %s as backups of SQL Server do", c.begin, magic), hintDamaged)
	case c.left < 0:
		return 0, failure.New(failure.Corrupt, op, "it goes on after its end", hintDamaged)
	case errors.Is(err, io.EOF) && (c.left > 0 || len(c.begin) < len(magic)):
		return n, failure.New(failure.Corrupt, op, fmt.Sprintf("it ends %d bytes early", c.left), hintDamaged)
	case errors.Is(err, io.EOF):
		c.whole = true
		return n, io.EOF
	case err != nil:
		return n, failure.Wrap(failure.Unknown, op, err, "")
	}
	return n, nil
}
