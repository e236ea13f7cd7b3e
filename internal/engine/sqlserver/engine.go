// Package sqlserver backs SQL Server databases up with the server's own BACKUP DATABASE and restores them
// with its own RESTORE into a new database beside the target, which then takes the target's name.
//
// The server writes a backup into a directory that it shares with the worker, from where it is streamed
// and removed. A backup has a stream FullName and, made on top of a base, a stream DifferentialName with
// what changed since; its full is then that of the base, which is neither read nor stored again. Both are then
// uncompressed, so that what did not change is found.
package sqlserver

import (
	"context"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// The names of the streams of a backup.
const (
	FullName         = "full"
	DifferentialName = "differential"
)

// Format names what reads the streams: RESTORE DATABASE.
const Format = "sqlserver-backup"

// Properties of streams.
const (
	propDatabase      = "database"
	propServerVersion = "server_version"
	propSet           = "backup_set_guid"        // of this stream's backup set
	propBase          = "differential_base_guid" // of a differential: its full's backup set
	propCopyOnly      = "copy_only"              // "true": no differential can be made on top
	propBytes         = "bytes"                  // of the file
	propTables        = "tables"                 // user tables when the backup was made
)

var (
	_ engine.Engine         = (*Engine)(nil)
	_ engine.Stager         = (*Engine)(nil)
	_ engine.StreamChecker  = (*Engine)(nil)
	_ engine.Describer      = (*Engine)(nil)
	_ engine.Querier        = (*Engine)(nil)
	_ engine.Executor       = (*Engine)(nil)
	_ engine.DatabaseLister = (*Engine)(nil)
	_ engine.RowCounter     = (*Engine)(nil)
	_ engine.KeyChecker     = (*Engine)(nil)

	_ engine.ConsistencyChecker = (*Engine)(nil)
)

// Options configures the engine.
type Options struct {
	// ShareDelay is how long a file in the shared directory may take until the worker sees what the
	// server wrote, or may remove it. 0 is 10 seconds.
	ShareDelay time.Duration
}

const defaultShareDelay = 10 * time.Second

// Engine serves SQL Server. It holds no connection and is safe for concurrent use.
type Engine struct{ shareDelay time.Duration }

// New returns the engine.
func New(opts Options) *Engine {
	if opts.ShareDelay <= 0 {
		opts.ShareDelay = defaultShareDelay
	}
	return &Engine{shareDelay: opts.ShareDelay}
}

// Type is domain.SQLServer.
func (e *Engine) Type() domain.DatasourceType { return domain.SQLServer }

// Probe connects to the datasource's database and measures one round trip on the open connection.
func (e *Engine) Probe(ctx context.Context, src engine.Source) (engine.Info, error) {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return engine.Info{}, err
	}
	defer conn.close()
	start := time.Now()
	if err := conn.PingContext(ctx); err != nil {
		return engine.Info{}, classify("ping", err)
	}
	latency := time.Since(start)
	version, err := conn.version(ctx)
	if err != nil {
		return engine.Info{}, err
	}
	return engine.Info{Version: version.text, Latency: latency}, nil
}

// Estimate is what the database's files hold: a backup is about as large.
func (e *Engine) Estimate(ctx context.Context, src engine.Source) (engine.Estimate, error) {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return engine.Estimate{}, err
	}
	defer conn.close()
	var pages int64
	err = conn.QueryRowContext(ctx, `SELECT ISNULL(SUM(COALESCE(CAST(FILEPROPERTY(name, 'SpaceUsed') AS bigint), CAST(size AS bigint))), 0)
		FROM sys.database_files WHERE type <> 1`).Scan(&pages)
	const pageBytes = 8192
	return engine.Estimate{Bytes: pages * pageBytes}, classify("ask for the size of the database", err)
}

// CheckStreams tells whether a backup has every stream it needs; it reads none of them.
func (e *Engine) CheckStreams(streams []engine.Stream) error {
	_, err := setsOf(streams)
	return err
}

// sets are the streams of a backup.
type sets struct {
	full         engine.Stream
	differential *engine.Stream
}

// latest is the stream that says what the database was.
func (s sets) latest() engine.Stream {
	if s.differential != nil {
		return *s.differential
	}
	return s.full
}

// inOrder are the streams as they are restored.
func (s sets) inOrder() []engine.Stream {
	if s.differential != nil {
		return []engine.Stream{s.full, *s.differential}
	}
	return []engine.Stream{s.full}
}

func setsOf(streams []engine.Stream) (sets, error) {
	const op = "read the backup"
	var found sets
	for _, s := range streams {
		switch {
		case s.Format != Format:
			return sets{}, failure.New(failure.Unsupported, op, fmt.Sprintf("stream %q has format %q, not %s", s.Name, s.Format, Format),
				"Restore it into a datasource of the type it was made from, with the version that made it.")
		case s.Name == FullName:
			found.full = s
		case s.Name == DifferentialName:
			found.differential = &s
		default:
			return sets{}, failure.New(failure.Unsupported, op, fmt.Sprintf("nothing is known of stream %q", s.Name), "Restore it with the version that made it.")
		}
	}
	if found.full.Name == "" {
		return sets{}, failure.New(failure.Corrupt, op, "it has no stream "+FullName, "The backup is damaged; restore another one.")
	}
	if d := found.differential; d != nil && d.Properties[propBase] != found.full.Properties[propSet] {
		return sets{}, failure.New(failure.Corrupt, op, "its differential builds on another full than it holds", "The backup is damaged; restore another one.")
	}
	return found, nil
}
