// Package postgres backs PostgreSQL databases up with pg_dump and restores them with pg_restore
// into a new database beside the target, which then takes the target's name.
//
// A dump by one job is one stream named StreamName in pg_dump's custom format, uncompressed: chunking finds
// what did not change and zstd is better at the rest. A dump by several jobs has pg_dump's directory
// format: a stream toc.dat, one for each large file, and small files in streams of tar archives. What
// pg_restore does not bring back by itself (encoding, locale, owner, settings and comment of the
// database) rides in the properties of the only stream, or of toc.dat.
package postgres

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// StreamName is the name of the only stream of a dump by one job, whatever the database is called; the database's
// own name is property "database".
const StreamName = "database"

// Format names what reads the stream: pg_restore.
const Format = "pg_dump-custom"

var (
	_ engine.Engine = (*Engine)(nil)
	_ engine.Stager = (*Engine)(nil)

	_ engine.StreamChecker = (*Engine)(nil)

	_ engine.Describer      = (*Engine)(nil)
	_ engine.Querier        = (*Engine)(nil)
	_ engine.Executor       = (*Engine)(nil)
	_ engine.DatabaseLister = (*Engine)(nil)
)

// Options configures the engine.
type Options struct {
	// BinDirs are directories in which client tools are looked for before the usual places:
	// /usr/lib/postgresql/<major>/bin and PATH. With OnlyBinDirs those are not searched.
	BinDirs     []string
	OnlyBinDirs bool
	// ScratchBytes is how much disk one dump by several jobs may take for what is not stored yet,
	// below TMPDIR. 0 is 1 GiB.
	ScratchBytes int64
	// QueryTimeout bounds a statement of Query and Schema. 0 is domain.QueryTimeout.
	QueryTimeout time.Duration
}

const defaultScratch = 1 << 30

// Engine serves PostgreSQL. It holds no connection and is safe for concurrent use.
type Engine struct {
	tools   toolbox
	scratch int64

	queryTimeout time.Duration
}

// New returns the engine. It looks for tools at each use, so that one that is installed later is
// found without a restart.
func New(opts Options) *Engine {
	if opts.ScratchBytes <= 0 {
		opts.ScratchBytes = defaultScratch
	}
	if opts.QueryTimeout <= 0 {
		opts.QueryTimeout = domain.QueryTimeout
	}
	return &Engine{tools: toolbox{dirs: opts.BinDirs, only: opts.OnlyBinDirs, seen: &sync.Map{}}, scratch: opts.ScratchBytes, queryTimeout: opts.QueryTimeout}
}

// Type is domain.Postgres.
func (e *Engine) Type() domain.DatasourceType { return domain.Postgres }

// Probe connects to the datasource's database and measures one round trip on the open connection.
func (e *Engine) Probe(ctx context.Context, src engine.Source) (engine.Info, error) {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return engine.Info{}, err
	}
	defer closeConn(conn)
	start := time.Now()
	if err := conn.Ping(ctx); err != nil {
		return engine.Info{}, classify("ping", err)
	}
	latency := time.Since(start)
	server, err := serverVersion(ctx, conn)
	if err != nil {
		return engine.Info{}, err
	}
	return engine.Info{Version: server.text, Latency: latency}, nil
}

// Estimate is the database's size on the server's disk. Indexes are in it and a dump's text is
// wider than its rows, so it is right within a factor of about two.
func (e *Engine) Estimate(ctx context.Context, src engine.Source) (engine.Estimate, error) {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return engine.Estimate{}, err
	}
	defer closeConn(conn)
	var size int64
	if err := conn.QueryRow(ctx, "select pg_database_size(current_database())").Scan(&size); err != nil {
		return engine.Estimate{}, classify("ask for the size of the database", err)
	}
	return engine.Estimate{Bytes: size}, nil
}

// mainStream finds the stream that says what the dump is: the only one of the custom format, or
// toc.dat of the directory format, of which everything has to be there.
func mainStream(streams []engine.Stream) (engine.Stream, error) {
	if len(streams) == 1 && streams[0].Name == StreamName && streams[0].Format == Format {
		return streams[0], nil
	}
	i := slices.IndexFunc(streams, func(s engine.Stream) bool { return s.Name == tocName && s.Format == DirectoryFormat })
	if i < 0 {
		return engine.Stream{}, failure.New(failure.Unsupported, "read the backup",
			"it consists neither of one "+Format+" stream named "+StreamName+" nor of "+DirectoryFormat+" streams with "+tocName,
			"Restore it into a datasource of the type it was made from, with the version that made it.")
	}
	return streams[i], checkFiles(streams, streams[i])
}

// checkFiles compares the streams with the files that the table of contents names.
func checkFiles(streams []engine.Stream, toc engine.Stream) error {
	has := map[string]bool{}
	for _, s := range streams {
		has[s.Name] = true
		if s.Format == BundleFormat {
			for file := range strings.SplitSeq(s.Properties[propFiles], "\n") {
				has[file] = true
			}
		}
	}
	for file := range strings.SplitSeq(toc.Properties[propFiles], "\n") {
		if file != "" && !has[file] {
			return failure.New(failure.Corrupt, "read the backup", "it has no stream for "+file+", which its table of contents names",
				"The backup is damaged; restore another one.")
		}
	}
	return nil
}

// CheckStreams tells whether a backup has every stream it needs; it reads none of them.
func (e *Engine) CheckStreams(streams []engine.Stream) error {
	_, err := mainStream(streams)
	return err
}
