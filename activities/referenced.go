package activities

import (
	"context"
	"io"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/referenced"
)

// dumpReferenced stores the files that rows point to, after the dump of the rows: what a row of the dump points to was
// there before.
func (a *Activities) dumpReferenced(ctx context.Context, job *backup, src engine.Source, sink engine.Sink) (warnings []string, err error) {
	options := job.options.ReferencedFiles
	if !options.Active() {
		return nil, nil
	}
	const op = "look for referenced files"
	chosen, err := a.engineFor(src.Type)
	if err != nil {
		return nil, err
	}
	rows, ok := chosen.(engine.ColumnReader)
	if !ok {
		return nil, failure.New(failure.Unsupported, op, "this version can not look for them in a "+string(src.Type)+" datasource", "Take referenced_files from the job.")
	}
	if src.Config.Databases != nil {
		return nil, failure.New(failure.ConfigInvalid, op, "discovery_query needs one database, and the datasource has all of a server",
			"Make a job with a datasource of that database.")
	}
	paths := referenced.NewPaths(options.MaxFiles)
	if err := rows.ReadColumn(ctx, src, options.DiscoveryQuery, options.PathColumn, paths.Add); err != nil {
		return nil, failure.Wrap(failure.Unknown, op, err, "")
	}
	near, far := io.Pipe()
	written := make(chan referenced.Report, 1)
	go func() {
		report, err := referenced.Write(ctx, *options, paths, far)
		_ = far.CloseWithError(err) // whose reader tells it
		written <- report
	}()
	err = sink(ctx, engine.Stream{Name: referenced.StreamName, Format: referenced.Format}, near)
	_ = near.Close() // ends the writer when the sink did not read to the end
	report := <-written
	if err != nil {
		return nil, err
	}
	a.log(ctx, job.id(), "info", "backed %d referenced files up, %d bytes", report.Files, report.Bytes)
	return report.Warnings, nil
}

// restoreReferenced restores the files of the backup, if that was asked for.
func (a *Activities) restoreReferenced(ctx context.Context, r *restore, reader *archive.Reader, counter *byteCounter) error {
	dir := r.options.ReferencedFilesDirectory
	if dir == "" {
		return nil
	}
	content, err := counter.open(ctx, reader, referenced.StreamName, 0)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	files, err := referenced.Extract(content, dir, r.request().Token)
	if err == nil {
		a.log(ctx, r.execution.ID, "info", "restored %d referenced files into %s", files, dir)
	}
	return err
}
