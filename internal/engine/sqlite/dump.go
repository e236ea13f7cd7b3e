package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	sqlite "modernc.org/sqlite"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/idle"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// pagesAtOnce is how many pages are copied between two looks at the context.
const pagesAtOnce = 2048

// Dump copies the database into a private file, as one snapshot that includes the WAL, drops from the copy what the
// options leave out, checks it with PRAGMA quick_check, and streams it. In WAL mode nobody waits for it; in the other journal modes writers wait
// while the copy is made, at the speed of the worker's disk and not of the storage.
func (e *Engine) Dump(ctx context.Context, src engine.Source, opts engine.DumpOptions, sink engine.Sink) (engine.Report, error) {
	ctx, watch := idle.Start(ctx, opts.IdleTimeout, "copy the database",
		"Look for who keeps the database locked, or whether the storage location hangs; idle_timeout_minutes may be raised.")
	defer watch.Stop()
	d := dump{path: src.Config.FilePath, tempDir: e.tempDir, idle: watch, limit: opts.IdleTimeout, include: opts.IncludeTables, exclude: opts.ExcludeTables}
	report, err := d.run(ctx, sink)
	return report, classify("dump database "+src.Config.FilePath, idle.Cause(ctx, err))
}

// dump is one run of Dump.
type dump struct {
	path    string
	tempDir string
	idle    *idle.Watch
	limit   time.Duration
	include []string
	exclude []string

	dir      *tempDir
	pages    pages
	version  string
	rows     map[string]int64
	warnings []string
}

func (d *dump) run(ctx context.Context, sink engine.Sink) (engine.Report, error) {
	defer func() {
		if d.dir != nil {
			d.dir.remove()
		}
	}()
	if err := reading(ctx, d.path, func(db *connection) error { return d.copy(ctx, db) }); err != nil {
		return engine.Report{}, err
	}
	d.idle.Pause() // neither dropping nor a check has progress to show
	var found verdict
	var err error
	if len(d.include)+len(d.exclude) > 0 {
		err = d.choose(ctx)
	}
	if err == nil {
		found, err = check(ctx, d.copyPath(), quickCheck)
	}
	if err == nil {
		d.rows, _ = countRows(ctx, d.copyPath()) // what can not be counted is backed up all the same
		err = context.Cause(ctx)
	}
	d.idle.Resume()
	if err != nil {
		return engine.Report{}, err
	}
	report := engine.Report{ServerVersion: d.version, ToolVersions: map[string]string{"sqlite": d.version}, Warnings: append(d.warnings, found.warnings...)}
	return report, d.stream(ctx, sink)
}

func (d *dump) copyPath() string { return d.dir.file("copy.db") }

// copy holds one read transaction open, so that every page is of the same moment and a writer does not make
// the copy begin again.
func (d *dump) copy(ctx context.Context, db *connection) (err error) {
	if _, err := db.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	if err := db.read(ctx, d.limit); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&d.version); err != nil {
		return err
	}
	if d.pages, err = db.pages(ctx); err != nil {
		return err
	}
	if d.dir, err = newTempDir(d.tempDir, d.pages.bytes()); err != nil {
		return err
	}
	return db.Raw(func(driverConn any) error {
		source, ok := driverConn.(interface {
			NewBackup(uri string) (*sqlite.Backup, error)
		})
		if !ok {
			return failure.New(failure.Unsupported, "copy the database", fmt.Sprintf("the driver's %T has no online backup", driverConn), "")
		}
		// A crash loses the copy anyway: neither a journal nor a sync is of use.
		backup, err := source.NewBackup(uri(d.copyPath()) + "?_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)")
		if err != nil {
			return err
		}
		return errors.Join(d.steps(ctx, backup), backup.Finish())
	})
}

func (d *dump) steps(ctx context.Context, backup *sqlite.Backup) error {
	for {
		more, err := backup.Step(pagesAtOnce)
		if err != nil || !more {
			return err
		}
		d.idle.Moved()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// stream hands the copy over. It has no name any more by then: nothing is left of it if the worker is killed.
func (d *dump) stream(ctx context.Context, sink engine.Sink) error {
	file, err := os.Open(d.copyPath())
	if err != nil {
		return err
	}
	defer file.Close()
	if err := os.Remove(d.copyPath()); err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != d.pages.bytes() {
		return failure.New(failure.Unknown, "copy the database", fmt.Sprintf("the copy has %d bytes instead of %d", info.Size(), d.pages.bytes()), "")
	}
	source, err := os.Stat(d.path)
	if err != nil {
		return err
	}
	out := &copyReader{ctx: ctx, file: file, idle: d.idle}
	properties := map[string]string{
		propBytes:    strconv.FormatInt(info.Size(), 10),
		propPageSize: strconv.FormatInt(d.pages.size, 10),
		propMode:     strconv.FormatUint(uint64(source.Mode().Perm()), 8),
	}
	if d.rows != nil {
		engine.SetRows(properties, d.rows)
	}
	err = sink(ctx, engine.Stream{Name: StreamName, Format: Format, Bytes: info.Size(), Properties: properties}, out)
	if err == nil && out.read != info.Size() {
		err = failure.New(failure.Unknown, "store the copy", "it was not read to the end", "")
	}
	return err
}

// copyReader reads the copy until the context ends.
type copyReader struct {
	ctx  context.Context //nolint:containedctx // lives as long as one call of the sink
	file io.Reader
	idle *idle.Watch
	read int64
}

func (r *copyReader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.file.Read(b)
	r.read += int64(n)
	r.idle.Moved()
	return n, err
}
