package engine

import (
	"context"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// At is the source with a database that Stage has loaded: staging is StageReport.Staging. What an engine does
// with a datasource (Query, Execute, the counters below) it can do there before Promote, or in a scratch one.
func At(src Source, staging string) Source {
	switch src.Type {
	case domain.SQLite:
		src.Config.FilePath = staging
	case domain.Files:
		src.Config.SourcePath = staging
	default:
		src.Config.Database, src.Config.Databases = staging, nil
	}
	return src
}

// RowCounter is an engine whose dumps say how many rows of each table (or documents of each collection) they
// hold, so that a restored database can be compared with them. The names in both answers are the same for the
// same table.
type RowCounter interface {
	// RecordedRows reads what a dump says of itself; known is false for one that says nothing.
	RecordedRows(streams []Stream) (rows map[string]int64, known bool, err error)

	// CountRows counts every row of every table that a dump would hold. It changes nothing. A negative number is
	// of a table that is there, but whose rows are not comparable.
	CountRows(ctx context.Context, src Source) (map[string]int64, error)
}

// KeyChecker is an engine with foreign keys that a restore does not check by itself.
type KeyChecker interface {
	// BrokenKeys names foreign keys with rows that point to nothing, a few of them, and how many were looked
	// at. It changes nothing.
	BrokenKeys(ctx context.Context, src Source) (broken []string, looked int, err error)
}

// ConsistencyChecker is an engine whose server loads a database without looking at all that is in it.
type ConsistencyChecker interface {
	// CheckConsistency has the server look at every page of a database. It changes nothing. Errors: Corrupt.
	CheckConsistency(ctx context.Context, src Source) error
}

// Identifier is an engine that can tell whether two datasources are the same database, whatever the names of
// their hosts.
type Identifier interface {
	// Identity is the same for the same database only; "" where the server does not say. That of a database of a
	// server is the server's, "/", and what it is there; without a database in src, what comes after is of no meaning.
	Identity(ctx context.Context, src Source) (string, error)
}
