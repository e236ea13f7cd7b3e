// Package mysql backs MySQL and MariaDB databases up with mysqldump or mariadb-dump and restores them
// with the mysql or mariadb client into a database beside the target, whose tables then take the
// target's place in one RENAME TABLE.
//
// A dump is one stream of SQL named StreamName, which any client reads. What it does not hold (character
// set and collation of the database) rides in the stream's properties. Both types of datasource are served
// alike: what matters is what the server says it is.
package mysql

import (
	"context"
	"sync"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// StreamName is the name of the only stream of a dump, whatever the database is called; the database's
// own name is property "database".
const StreamName = "database"

// Format names what the stream is: the SQL of mysqldump and mariadb-dump.
const Format = "mysqldump"

var (
	_ engine.Engine        = (*Engine)(nil)
	_ engine.Stager        = (*Engine)(nil)
	_ engine.StreamChecker = (*Engine)(nil)
)

// Options configures the engine.
type Options struct {
	// BinDirs are directories in which client tools are looked for before PATH. With OnlyBinDirs that is not searched.
	BinDirs     []string
	OnlyBinDirs bool
	// QueryTimeout bounds a statement of Query; 0 is domain.QueryTimeout.
	QueryTimeout time.Duration
}

// Engine serves one of the two types. It holds no connection and is safe for concurrent use.
type Engine struct {
	kind         domain.DatasourceType
	tools        toolbox
	queryTimeout time.Duration
	changed      sync.Map // databases, by placeOf, that were to be dumped bytewise and could not
}

// New returns the engine of a type, domain.MySQL or domain.MariaDB. It looks for tools at each use, so
// that one that is installed later is found without a restart.
func New(kind domain.DatasourceType, opts Options) *Engine {
	if opts.QueryTimeout == 0 {
		opts.QueryTimeout = domain.QueryTimeout
	}
	return &Engine{kind: kind, tools: toolbox{dirs: opts.BinDirs, only: opts.OnlyBinDirs, seen: &sync.Map{}}, queryTimeout: opts.QueryTimeout}
}

// Type is the type given to New.
func (e *Engine) Type() domain.DatasourceType { return e.kind }

// Probe connects to the datasource's database and measures one round trip on the open connection.
func (e *Engine) Probe(ctx context.Context, src engine.Source) (engine.Info, error) {
	s, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return engine.Info{}, err
	}
	defer s.close()
	start := time.Now()
	if err := s.conn.PingContext(ctx); err != nil {
		return engine.Info{}, classify("ping", err)
	}
	return engine.Info{Version: s.version.text, Latency: time.Since(start)}, nil
}

// Estimate is the size of the rows as the server estimates it. A dump's text is wider than rows and binary
// data twice as long, so it is right within a factor of about two.
func (e *Engine) Estimate(ctx context.Context, src engine.Source) (engine.Estimate, error) {
	s, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return engine.Estimate{}, err
	}
	defer s.close()
	size, err := queryOne[int64](ctx, s, "select cast(coalesce(sum(data_length), 0) as signed) from information_schema.tables where table_schema = ?",
		src.Config.Database)
	if err != nil {
		return engine.Estimate{}, classify("ask for the size of the database", err)
	}
	return engine.Estimate{Bytes: size}, nil
}

// CheckStreams wants the one stream of a dump.
func (e *Engine) CheckStreams(streams []engine.Stream) error {
	_, err := mainStream(streams)
	return err
}

func mainStream(streams []engine.Stream) (engine.Stream, error) {
	for _, s := range streams {
		if s.Name == StreamName && s.Format == Format {
			return s, nil
		}
	}
	return engine.Stream{}, failure.New(failure.Unsupported, "read the backup", "it has no "+Format+" stream named "+StreamName,
		"Restore it into a datasource of the type it was made from, with the version that made it.")
}
