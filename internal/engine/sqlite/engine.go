// Package sqlite backs SQLite databases up as what they are: one file, copied page by page by SQLite's
// online backup while others read and write it, and restored beside the target, whose name it then takes.
//
// A dump is one stream, the bytes of a database file that sqlite3 opens. Every page stays where it is in
// the source, so that chunks of pages that did not change are found again; VACUUM INTO would move them.
//
// Nothing here opens a live database but through SQLite: closing any other descriptor of the file would
// end the POSIX locks that SQLite holds on it in this process. Others who may, the engine for files among them, close
// what they read by package posixlock.
package sqlite

import (
	"context"
	"os"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// StreamName is the name of the only stream of a dump.
const StreamName = "database"

// Format names what reads the stream: sqlite3.
const Format = "sqlite3-file"

// The properties of the stream.
const (
	propBytes    = "bytes"     // of the file, from its number of pages
	propPageSize = "page_size" // in bytes
	propMode     = "mode"      // permissions of the source, octal
)

// probeTimeout bounds the wait for a database that somebody has locked, where no option bounds it.
const probeTimeout = 5 * time.Second

var (
	_ engine.Engine        = (*Engine)(nil)
	_ engine.StreamChecker = (*Engine)(nil)
	_ engine.Stager        = (*Engine)(nil)
	_ engine.Describer     = (*Engine)(nil)
	_ engine.Querier       = (*Engine)(nil)
	_ engine.Executor      = (*Engine)(nil)
)

// Options configures the engine.
type Options struct {
	// TempDir is where a copy of the database lies while it is backed up or inspected: it needs as much
	// room as the database has bytes. Empty is TMPDIR.
	TempDir string
	// HoldTimeout bounds a restore's wait for others to end their transactions in the target. 0 is ten seconds.
	HoldTimeout time.Duration
}

// Engine serves SQLite. It holds no connection and is safe for concurrent use.
type Engine struct {
	tempDir     string
	holdTimeout time.Duration
}

// New returns the engine.
func New(opts Options) *Engine {
	if opts.TempDir == "" {
		opts.TempDir = os.TempDir()
	}
	if opts.HoldTimeout <= 0 {
		opts.HoldTimeout = 10 * time.Second
	}
	return &Engine{tempDir: opts.TempDir, holdTimeout: opts.HoldTimeout}
}

// Type is domain.SQLite.
func (e *Engine) Type() domain.DatasourceType { return domain.SQLite }

// Probe opens the file and reads its schema. The version is that of the SQLite library built in.
func (e *Engine) Probe(ctx context.Context, src engine.Source) (engine.Info, error) {
	var info engine.Info
	err := reading(ctx, src.Config.FilePath, func(db *connection) error {
		start := time.Now()
		if err := db.read(ctx, probeTimeout); err != nil {
			return err
		}
		info.Latency = time.Since(start)
		return db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&info.Version)
	})
	return info, classify("open database "+src.Config.FilePath, err)
}

// Estimate is the size of the dump, exactly, if nobody writes meanwhile.
func (e *Engine) Estimate(ctx context.Context, src engine.Source) (engine.Estimate, error) {
	var size pages
	err := reading(ctx, src.Config.FilePath, func(db *connection) (err error) {
		if err := db.read(ctx, probeTimeout); err != nil {
			return err
		}
		size, err = db.pages(ctx)
		return err
	})
	return engine.Estimate{Bytes: size.bytes()}, classify("ask for the size of "+src.Config.FilePath, err)
}

// CheckStreams tells whether the backup is one of this engine's.
func (e *Engine) CheckStreams(streams []engine.Stream) error {
	_, err := mainStream(streams)
	return err
}

func mainStream(streams []engine.Stream) (engine.Stream, error) {
	if len(streams) != 1 || streams[0].Name != StreamName || streams[0].Format != Format {
		return engine.Stream{}, failure.New(failure.Unsupported, "read the backup",
			"it does not consist of one "+Format+" stream named "+StreamName,
			"Restore it into a datasource of the type it was made from, with the version that made it.")
	}
	return streams[0], nil
}
