package mongodb

import (
	"context"
	"io"
	"strconv"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Inspect reads an archive to its end and counts its collections. Changes are no collections.
func (e *Engine) Inspect(_ context.Context, s engine.Stream, r io.Reader) (int, error) {
	if s.Format == ChangesFormat {
		return 0, eachChange(r, func(change) error { return nil })
	}
	if s.Format != Format {
		return 0, failure.New(failure.Unsupported, "list the dump", "nothing is known of format "+strconv.Quote(s.Format), "")
	}
	found, err := readArchive(r)
	if err != nil {
		return 0, err
	}
	return found.collections, nil
}
