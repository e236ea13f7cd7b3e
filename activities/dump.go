package activities

import (
	"cmp"
	"context"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"go.temporal.io/sdk/activity"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/databases"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Dump streams the datasource into the storage location: the engine's dump is cut into chunks,
// compressed, encrypted and uploaded as it comes, and the manifest is written last. A try after a
// lost one uploads only what is not there yet.
func (a *Activities) Dump(ctx context.Context, in contract.DumpInput) (contract.DumpResult, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	job, err := a.loadBackup(ctx, in.ExecutionID)
	if err != nil {
		return contract.DumpResult{}, toTemporal(ctx, giveUpOnStorage(ctx, err, in.StorageAttempts))
	}
	defer job.close()
	result, err := a.dump(ctx, job, in.AttemptsBefore+activity.GetInfo(ctx).Attempt, in.QuickCheck)
	return result, toTemporal(ctx, giveUpOnStorage(ctx, err, in.StorageAttempts), job.datasource.Config.SecretValues()...)
}

func (a *Activities) dump(ctx context.Context, job *backup, attempt int32, check bool) (contract.DumpResult, error) {
	if err := a.claimAndLoad(ctx, job, attempt); err != nil {
		return contract.DumpResult{}, err
	}
	a.at("dump.claimed")
	// From the first look at the storage to the last recorded row: on a slow disk or with a million
	// chunks every part of it may take longer than a worker may be silent.
	var progress dumpProgress
	stop := a.report(ctx, job.id(), progress.now)
	defer stop()
	ground := sync.OnceValues(func() (*base, error) { return a.layGround(ctx, job, attempt) })
	options := job.dumpOptions()
	options.Tell = progress.server.tell
	var stored *storedBase
	if job.execution.BackupType != domain.Full { // a full builds on nothing: its dump tool can start meanwhile
		base, err := ground()
		if err != nil {
			return contract.DumpResult{}, err
		}
		if stored = base.stored; stored != nil {
			options.Base = stored.forEngine(job)
		}
	}
	var preparing *preparation
	var report engine.Report
	err := a.reach(ctx, job.datasource, func(src engine.Source) (err error) {
		preparing = a.prepareWriter(ctx, job, src, ground, attempt, &progress)
		if stored != nil {
			stored.preparing = preparing
		}
		sink := func(ctx context.Context, s engine.Stream, r io.Reader) error {
			writer, err := preparing.wait(ctx)
			if err != nil {
				return err
			}
			meta := archive.StreamMeta{Name: s.Name, Format: s.Format, Properties: s.Properties}
			return failure.WithSubject(writer.WriteStream(ctx, meta, stored.storable(ctx, r)), aboutStorage(job.storage.Name))
		}
		report, err = job.engine.Dump(ctx, src, options, sink)
		if err == nil {
			var warnings []string
			warnings, err = a.dumpReferenced(ctx, job, src, sink)
			report.Warnings = append(report.Warnings, warnings...)
		}
		<-preparing.done // it uses what ends with this call
		if err == nil {
			err = preparing.err
		}
		return err
	})
	if err != nil {
		if _, unready := ground(); unready != nil {
			return contract.DumpResult{}, unready // not the datasource's, nor its tool's
		}
		return contract.DumpResult{}, failure.WithSubject(err, aboutDatasource(job.datasource.Name))
	}
	for _, warning := range report.Warnings {
		a.log(ctx, job.id(), "warning", "%s", warning)
	}
	return a.commit(ctx, job, preparing.writer, report, attempt, check)
}

// claimAndLoad makes the dump this attempt's, and loads what the job says meanwhile. That another attempt has it is told first.
func (a *Activities) claimAndLoad(ctx context.Context, job *backup, attempt int32) error {
	loaded := make(chan error, 1)
	go func() { loaded <- a.loadJob(ctx, job) }()
	claimed := a.DB.ClaimDump(ctx, job.id(), attempt)
	return cmp.Or(claimed, <-loaded)
}

// layGround finds what the backup builds on and records where its manifest will be, before the first chunk.
func (a *Activities) layGround(ctx context.Context, job *backup, attempt int32) (*base, error) {
	base, err := a.chooseBase(ctx, job, attempt)
	if err != nil {
		return nil, err
	}
	if err := a.DB.SetManifestPath(ctx, job.id(), job.manifestKey(attempt)); err != nil {
		return nil, err
	}
	a.at("dump.manifest_path_recorded")
	return base, nil
}

// dumpReader tells that its errors are the datasource's: where they come out of the pipeline they could
// be the storage's, and another storage location would be tried.
type dumpReader struct{ io.Reader }

func (d dumpReader) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // io.Reader's contract
		err = failure.WithSide(err, failure.Datasource)
	}
	return n, err
}

// preparation is an archive writer in the making: the storage location and the catalogue are asked
// what it needs while the dump tool connects and reads the database's catalog, which takes as long.
type preparation struct {
	done   chan struct{}
	base   *base
	writer *archive.Writer
	known  *archive.KnownChunks
	err    error
}

func (a *Activities) prepareWriter(ctx context.Context, job *backup, src engine.Source, ground func() (*base, error), attempt int32, progress *dumpProgress) *preparation {
	p := &preparation{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		if p.base, p.err = ground(); p.err != nil {
			return
		}
		estimate, err := job.engine.Estimate(ctx, src)
		if err != nil {
			p.err = failure.WithSubject(err, aboutDatasource(job.datasource.Name))
			return
		}
		if p.writer, p.known, p.err = a.chunkWriter(ctx, job, p.base, attempt, estimate); p.err == nil {
			progress.follow(p.writer, estimate)
		}
	}()
	return p
}

// wait returns the writer when it is there. Errors: that of ctx, or why there is none.
func (p *preparation) wait(ctx context.Context) (*archive.Writer, error) {
	select {
	case <-p.done:
		return p.writer, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// commit writes the manifest, and records it, which makes the backup exist. An attempt that another
// one has overtaken (its worker was cut off, not dead) stops here: its manifest has a key of its
// own, and only the attempt that holds the dump is recorded.
func (a *Activities) commit(ctx context.Context, job *backup, writer *archive.Writer, report engine.Report, attempt int32, check bool) (contract.DumpResult, error) {
	if err := a.DB.HoldsDump(ctx, job.id(), attempt); err != nil {
		return contract.DumpResult{}, err
	}
	committed, err := writer.Commit(ctx, job.header(report), job.manifestKey(attempt))
	if err != nil {
		return contract.DumpResult{}, failure.WithSubject(err, aboutStorage(job.storage.Name))
	}
	a.at("dump.manifest_written")
	counters, use := writer.Counters(), job.usage(committed.Manifest)
	err = a.DB.SetDumpResult(ctx, job.id(), attempt, db.DumpResult{
		SizeBytes:           counters.Bytes,
		CompressedSizeBytes: use.added,
		ManifestPath:        job.manifestKey(attempt),
		ManifestSHA256:      committed.ManifestSHA256,
		Databases:           databases.Names(engineStreams(committed.Manifest)),
		ToolVersions:        report.ToolVersions,
		Warnings:            job.warnings(report),
		ReusedChunks:        use.reusedChunks,
		ReusedBytes:         use.reused,
	})
	if err != nil {
		return contract.DumpResult{}, err
	}
	a.at("dump.result_recorded")
	if err := a.settleChunks(ctx, job, committed.Manifest, attempt); err != nil {
		return contract.DumpResult{}, failure.WithSubject(err, aboutStorage(job.storage.Name))
	}
	a.at("dump.rows_recorded")
	chunks := int64(len(committed.Manifest.Objects))
	a.log(ctx, job.id(), "info", "dumped %d bytes into %d chunks; %d bytes stored, %d chunks were there already",
		counters.Bytes, chunks, use.added, counters.Skipped)
	return contract.DumpResult{
		SizeBytes: counters.Bytes, StoredBytes: use.added, Chunks: chunks, Skipped: counters.Skipped,
		Verified: check && a.verifyDumped(ctx, job, committed, attempt),
	}, nil
}

// dumpProgress says how far a dump is, also before there is a writer.
type dumpProgress struct {
	writer   atomic.Pointer[archive.Writer]
	estimate atomic.Int64
	server   serverShare
}

func (p *dumpProgress) follow(w *archive.Writer, e engine.Estimate) {
	p.estimate.Store(e.Bytes)
	p.writer.Store(w)
}

func (p *dumpProgress) now() domain.Progress {
	writer := p.writer.Load()
	if writer == nil {
		return domain.Progress{Phase: domain.PhasePreparing, ServerPercent: p.server.percent()}
	}
	c := writer.Counters()
	return domain.Progress{
		Phase: domain.PhaseDumping, Bytes: c.Bytes, Total: max(p.estimate.Load(), c.Bytes),
		Chunks: c.Chunks, Skipped: c.Skipped, Stored: c.Stored, ServerPercent: p.server.percent(),
	}
}

// serverShare is how far the server says it is with what it does by itself.
type serverShare struct{ bits atomic.Uint64 }

func (s *serverShare) tell(percent float64) { s.bits.Store(math.Float64bits(percent)) }

func (s *serverShare) percent() float64 { return math.Float64frombits(s.bits.Load()) }
