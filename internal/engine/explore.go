package engine

import (
	"context"
	"io"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Describer is an engine that can tell what a datasource holds.
type Describer interface {
	// Schema lists databases, tables or collections with their columns, or the top of a file tree. It
	// reads at most domain.MaxSchemaObjects objects and says so in Truncated. It changes nothing.
	Schema(ctx context.Context, src Source) (domain.Schema, error)
}

// Querier is an engine that answers SQL.
type Querier interface {
	// Query runs one statement in a transaction (or connection) that the server itself keeps from
	// writing, for at most domain.QueryTimeout, and returns at most domain.MaxQueryRows rows and about
	// domain.MaxQueryBytes bytes. A statement that would write is failure.ConfigInvalid.
	Query(ctx context.Context, src Source, statement string) (domain.QueryResult, error)
}

// Executor is an engine that runs the SQL of hooks, which may write.
type Executor interface {
	// Execute runs one statement and discards its rows.
	Execute(ctx context.Context, src Source, statement string) error
}

// DatabaseLister is an engine of a server with several databases.
type DatabaseLister interface {
	// Databases lists the databases of the server that hold people's data, sorted; not its own.
	// Config.Database may be empty.
	Databases(ctx context.Context, src Source) ([]string, error)
}

// GlobalsDumper is an engine of a server that has something beside its databases: roles, accounts.
type GlobalsDumper interface {
	// DumpGlobals hands what belongs to no database to sink, as one stream of SQL, in the way of
	// Engine.Dump. Warnings say what the user was not allowed to read. Inspect reads the stream too.
	DumpGlobals(ctx context.Context, src Source, sink Sink) (warnings []string, err error)
}

// GlobalsRestorer is a GlobalsDumper that can put back what it dumped.
type GlobalsRestorer interface {
	// RestoreGlobals makes what the stream has and the server has not; what is there already is left as it is. Every
	// role or account is told of, done or not; why not never holds a secret. One that can not be made is no
	// error: the server is, and a stream that is not whole.
	RestoreGlobals(ctx context.Context, target Source, s Stream, r io.Reader, tell func(done bool, what string)) error
}

// Browser is an engine whose backups can be looked into without a restore.
type Browser interface {
	// Browse lists at most limit entries of a folder ("" is the root) of a backup that open reads, in byte order of their
	// names, from the one behind after on ("" is the first). next is the after of the next part, "" at the end. A folder
	// that the backup has not is failure.NotFound.
	Browse(ctx context.Context, streams []Stream, open Opener, folder, after string, limit int) (entries []domain.BackedUpFile, next string, err error)
}
