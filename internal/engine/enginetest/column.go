package enginetest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Column is a statement of which one column is read.
type Column struct{ Statement, Column string }

// ReadColumn reads all of it.
func ReadColumn(t *testing.T, e engine.ColumnReader, src engine.Source, c Column) (values []string, err error) {
	t.Helper()
	err = e.ReadColumn(Context(t), src, c.Statement, c.Column, func(value string) error {
		values = append(values, value)
		return nil
	})
	return values, err
}

// RequireReadsUntil reads a column of more than one row up to the first, with whose error it ends.
func RequireReadsUntil(t *testing.T, e engine.ColumnReader, src engine.Source, c Column) {
	t.Helper()
	enough, rows := errors.New("enough"), 0
	err := e.ReadColumn(Context(t), src, c.Statement, c.Column, func(string) error { rows++; return enough })
	require.ErrorIs(t, err, enough)
	require.Equal(t, 1, rows)
}

// RequireRefused reads columns that can not be read: for each name a statement, a column, and what the error says.
func RequireRefused(t *testing.T, e engine.ColumnReader, src engine.Source, refused map[string][3]string) {
	t.Helper()
	for name, c := range refused {
		t.Run(name, func(t *testing.T) {
			_, err := ReadColumn(t, e, src, Column{c[0], c[1]})
			RequireClass(t, failure.ConfigInvalid, err)
			require.ErrorContains(t, err, c[2])
		})
	}
}
