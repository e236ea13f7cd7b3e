package activities

import (
	"context"
	"io"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// restore is one restore execution: the backup it reads and the target it writes.
type restore struct {
	execution db.Execution
	options   domain.RestoreOptions
	backup    *backup
	target    db.Datasource
	stager    engine.Stager
	manifest  *archive.Manifest
}

// loadRestore reads the execution and opens the backup's storage location. close must be called.
func (a *Activities) loadRestore(ctx context.Context, executionID string) (*restore, error) {
	e, err := a.DB.GetExecution(ctx, executionID)
	if err != nil {
		return nil, missing(err, "read execution "+executionID)
	}
	if e.Metadata.Restore == nil {
		return nil, failure.New(failure.ConfigInvalid, "read execution "+executionID, "it is not a restore", "")
	}
	r := &restore{execution: e, options: *e.Metadata.Restore}
	if r.target, err = a.DB.GetDatasource(ctx, r.options.TargetDatasourceID); err != nil {
		return nil, missing(err, "read target datasource "+r.options.TargetDatasourceID)
	}
	if r.backup, err = a.loadBackup(ctx, r.options.SourceExecutionID); err != nil {
		return nil, err
	}
	if r.manifest, err = a.openManifest(ctx, r.backup); err != nil {
		r.backup.close()
		return nil, err
	}
	if err := a.chooseStager(r); err != nil {
		r.backup.close()
		return nil, err
	}
	return r, nil
}

func (a *Activities) chooseStager(r *restore) error {
	e, err := a.engineFor(r.target.Type)
	if err != nil {
		return failure.WithSubject(err, aboutDatasource(r.target.Name))
	}
	stager, ok := e.(engine.Stager)
	if !ok || r.target.Type != r.backup.datasource.Type {
		return failure.WithSubject(failure.New(failure.Unsupported, "restore",
			"a "+string(r.backup.datasource.Type)+" backup can not be restored into a "+string(r.target.Type)+" datasource",
			"Choose a target of the backup's own type."), aboutDatasource(r.target.Name))
	}
	r.stager = stager
	return nil
}

func (r *restore) close()                { r.backup.close() }
func (r *restore) source() engine.Source { return sourceOf(r.target) }

func (r *restore) request() engine.StageRequest {
	streams := make([]engine.Stream, len(r.manifest.Streams))
	for i, s := range r.manifest.Streams {
		streams[i] = engine.Stream{Name: s.Name, Format: s.Format, Properties: s.Properties}
	}
	return engine.StageRequest{
		Token:        domain.ID8(r.execution.ID),
		Target:       r.options.TargetDatabase,
		DropExisting: r.options.DropExisting,
		Scratch:      r.options.VerificationMode,
		Streams:      streams,
	}
}

// withRestore runs one step of a restore; its error names the target and holds none of its secrets.
func (a *Activities) withRestore(ctx context.Context, executionID string, step func(context.Context, *restore) error) error {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	r, err := a.loadRestore(ctx, executionID)
	if err != nil {
		return toTemporal(ctx, err)
	}
	defer r.close()
	err = failure.WithSubject(step(ctx, r), aboutDatasource(r.target.Name))
	return toTemporal(ctx, err, r.target.Config.Password, r.backup.datasource.Config.Password)
}

// simpleStep is withRestore for a step that only waits on the target, with heartbeats.
func (a *Activities) simpleStep(ctx context.Context, executionID string, phase domain.Phase, step func(context.Context, *restore) error) (contract.Nothing, error) {
	return contract.Nothing{}, a.withRestore(ctx, executionID, func(ctx context.Context, r *restore) error {
		stop := a.report(ctx, executionID, func() domain.Progress { return domain.Progress{Phase: phase} })
		defer stop()
		return step(ctx, r)
	})
}

// CheckTarget refuses a target that can not be restored into.
func (a *Activities) CheckTarget(ctx context.Context, in contract.ExecutionRef) (contract.Nothing, error) {
	return a.simpleStep(ctx, in.ExecutionID, domain.PhaseChecking, func(ctx context.Context, r *restore) error {
		return r.stager.CheckTarget(ctx, r.source(), r.request())
	})
}

// CheckArchive reads every stored byte of the backup and compares it with the manifest's
// checksums, before the restore writes anything.
func (a *Activities) CheckArchive(ctx context.Context, in contract.ExecutionRef) (contract.VerifyResult, error) {
	var result contract.VerifyResult
	err := a.withRestore(ctx, in.ExecutionID, func(ctx context.Context, r *restore) (err error) {
		counter := newByteCounter(domain.PhaseChecking, r.manifest.StoredBytes())
		stop := a.report(ctx, in.ExecutionID, counter.progress)
		defer stop()
		result.Objects, result.Bytes, err = archive.CheckBytes(ctx, r.backup.store, r.manifest, counter.add)
		return failure.WithSubject(err, aboutStorage(r.backup.storage.Name))
	})
	return result, err
}

// StageRestore loads the backup beside the target.
func (a *Activities) StageRestore(ctx context.Context, in contract.ExecutionRef) (contract.StageResult, error) {
	var result contract.StageResult
	err := a.withRestore(ctx, in.ExecutionID, func(ctx context.Context, r *restore) error {
		identities, err := a.identities(ctx)
		if err != nil {
			return err
		}
		counter := newByteCounter(domain.PhaseLoading, r.manifest.StoredBytes())
		reader, err := archive.NewReader(r.backup.store, r.manifest, identities, archive.ReaderOptions{OnObject: counter.add})
		if err != nil {
			return failure.WithSubject(err, aboutStorage(r.backup.storage.Name))
		}
		stop := a.report(ctx, in.ExecutionID, counter.progress)
		defer stop()
		staged, err := r.stager.Stage(ctx, r.source(), r.request(), func(ctx context.Context, name string) (io.ReadCloser, error) {
			return reader.OpenStream(ctx, name)
		})
		if err != nil {
			return err
		}
		if r.options.VerificationMode && staged.Tables == 0 {
			return failure.New(failure.Corrupt, "verify the restored database", "it has no tables",
				"Look at what the backup job includes: a backup of nothing proves nothing.")
		}
		result = contract.StageResult{Tables: staged.Tables, Bytes: r.backup.execution.SizeBytes}
		return a.recordStaged(ctx, r, staged)
	})
	return result, err
}

func (a *Activities) recordStaged(ctx context.Context, r *restore, staged engine.StageReport) error {
	report := domain.RestoreReport{Database: r.options.TargetDatabase, Tables: staged.Tables, Bytes: r.backup.execution.SizeBytes}
	if r.options.VerificationMode {
		report.Database = ""
		if r.options.KeepDatabase {
			report.Database = staged.Staging
		}
	}
	a.log(ctx, r.execution.ID, "info", "loaded %d tables into %s", staged.Tables, staged.Staging)
	return a.DB.SetRestoreReport(ctx, r.execution.ID, report)
}

// PromoteRestore gives what was loaded the target's name.
func (a *Activities) PromoteRestore(ctx context.Context, in contract.ExecutionRef) (contract.Nothing, error) {
	return a.simpleStep(ctx, in.ExecutionID, domain.PhaseSwapping, func(ctx context.Context, r *restore) error {
		if err := r.stager.Promote(ctx, r.source(), r.request()); err != nil {
			return err
		}
		a.log(ctx, r.execution.ID, "info", "database %s holds the restored data", r.options.TargetDatabase)
		return nil
	})
}

// DiscardRestore drops what was loaded beside the target.
func (a *Activities) DiscardRestore(ctx context.Context, in contract.ExecutionRef) (contract.Nothing, error) {
	return a.simpleStep(ctx, in.ExecutionID, domain.PhaseCleaning, func(ctx context.Context, r *restore) error {
		return r.stager.Discard(ctx, r.source(), r.request())
	})
}
