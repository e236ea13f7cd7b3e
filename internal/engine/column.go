package engine

import "context"

// ColumnReader is an engine of a SQL server that hands out one column of any number of rows.
type ColumnReader interface {
	// ReadColumn runs one statement in a transaction that the server keeps from writing, and calls each with the
	// column's value in every row, null left out, until each returns an error, which it returns. Errors:
	// ConfigInvalid for a statement that fails or writes, and a column that is not there or is no text.
	ReadColumn(ctx context.Context, src Source, statement, column string, each func(value string) error) error
}
