package mysql

import (
	"context"
	"io"
	"strconv"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Inspect follows the SQL of a dump from its header to its end marker and counts the tables it makes. It needs
// neither a server nor a tool.
func (e *Engine) Inspect(ctx context.Context, s engine.Stream, r io.Reader) (int, error) {
	if s.Format == AccountsFormat {
		return 0, inspectAccounts(r)
	}
	if s.Format != Format {
		return 0, failure.New(failure.Unsupported, "list the dump", "nothing is known of format "+strconv.Quote(s.Format), "")
	}
	dump := follow(r)
	buffer := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if _, err := dump.Read(buffer); err == io.EOF { //nolint:errorlint // io.Reader's contract
			return dump.script.tables, nil
		} else if err != nil {
			return 0, failure.Wrap(failure.ClassOf(err), "list the dump", err, "")
		}
	}
}
