package activities

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/databases"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/referenced"
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

// loadTarget reads the execution and its target, which is all that clean-up needs: it works
// without the storage location.
func (a *Activities) loadTarget(ctx context.Context, executionID string) (*restore, error) {
	e, err := a.DB.GetExecution(ctx, executionID)
	if err != nil {
		return nil, err
	}
	if e.Metadata.Restore == nil {
		return nil, failure.New(failure.ConfigInvalid, "read execution "+executionID, "it is not a restore", "")
	}
	r := &restore{execution: e, options: *e.Metadata.Restore}
	if r.target, err = a.DB.GetDatasource(ctx, r.options.TargetDatasourceID); err != nil {
		return nil, err
	}
	chosen, err := a.engineFor(r.target.Type)
	if err == nil && len(r.options.Databases) > 0 {
		chosen, err = databases.Of(chosen)
	}
	if err != nil {
		return nil, failure.WithSubject(err, aboutDatasource(r.target.Name))
	}
	stager, ok := chosen.(engine.Stager)
	if !ok {
		return nil, failure.WithSubject(failure.New(failure.Unsupported, "restore",
			"this version can not restore into a "+string(r.target.Type)+" datasource", ""), aboutDatasource(r.target.Name))
	}
	r.stager = stager
	return r, nil
}

// openBackup reads the manifest of the backup that is restored. close must be called.
func (a *Activities) openBackup(ctx context.Context, r *restore) (err error) {
	if r.backup, err = a.loadCopy(ctx, r.options.SourceExecutionID, r.execution.StorageLocationID); err != nil {
		return err
	}
	if r.manifest, err = a.openManifest(ctx, r.backup); err != nil {
		r.close()
		return err
	}
	// What a restore needs to know of a stream is sealed with an encrypted backup.
	identities, err := a.identities(ctx)
	if err == nil {
		err = failure.WithSubject(r.manifest.Unseal(identities), aboutStorage(r.backup.storage.Name))
	}
	if err != nil {
		r.close()
		return err
	}
	if from, to := r.backup.datasource.Type, r.target.Type; !domain.SameFamily(from, to) {
		r.close()
		return failure.New(failure.Unsupported, "restore", "a "+string(from)+" backup can not be restored into a "+string(to)+" datasource",
			"Choose a target of the backup's own type.")
	}
	return nil
}

func (r *restore) close() {
	if r.backup != nil {
		r.backup.close()
	}
}

// secrets are those of both sides, to be masked in errors.
func (r *restore) secrets() []string {
	values := r.target.Config.SecretValues()
	if r.backup != nil {
		values = append(values, r.backup.datasource.Config.SecretValues()...)
	}
	return values
}

func (r *restore) request() engine.StageRequest {
	var streams []engine.Stream
	if r.manifest != nil {
		streams = engineStreams(r.manifest)
	}
	return engine.StageRequest{
		Token:        domain.ID8(r.execution.ID),
		Target:       r.options.TargetDatabase,
		DropExisting: r.options.DropExisting,
		Scratch:      r.options.VerificationMode,
		Jobs:         r.jobs(),
		Streams:      streams,
		Databases:    r.options.Databases,
		Private:      len(r.options.PostRestoreSQL) > 0,
		IncludePaths: r.options.IncludePaths, IncludeTables: r.options.IncludeTables,
	}
}

// load stages the backup. One that takes no byte for too long is given up.
func (r *restore) load(ctx context.Context, target engine.Source, tell engine.Teller, open engine.Opener) (engine.StageReport, error) {
	request := r.request()
	request.Tell = tell
	loaded := make(chan engine.StageReport, 1) // one that is given up may still end
	err := whileLoading(ctx, r.idleTimeout(), r.targetName(), func(ctx context.Context, through func(engine.Opener) engine.Opener) error {
		report, err := r.stager.Stage(ctx, target, request, through(open))
		loaded <- report
		return err
	})
	if err != nil {
		return engine.StageReport{}, err
	}
	return <-loaded, nil
}

// idleTimeout is that of the restore, or else of the backup.
func (r *restore) idleTimeout() time.Duration {
	if r.options.IdleTimeoutMinutes > 0 {
		return time.Duration(r.options.IdleTimeoutMinutes) * time.Minute
	}
	return r.backup.idleTimeout()
}

// targetName is what the restore replaces, for people.
func (r *restore) targetName() string {
	if r.options.TargetDatabase == "" {
		return strings.Join(r.options.Databases, ", ")
	}
	return r.options.TargetDatabase
}

// jobs is how many tables are loaded at the same time.
func (r *restore) jobs() int {
	switch {
	case r.options.ParallelJobs > 0:
		return r.options.ParallelJobs
	case r.backup != nil && r.backup.options.ParallelJobs > 1:
		return r.backup.options.ParallelJobs
	}
	return engine.DefaultRestoreJobs()
}

// withRestore runs one step of a restore; its error names the target and holds none of its secrets.
func (a *Activities) withRestore(ctx context.Context, in contract.RestoreStep, step func(context.Context, *restore) error) error {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	r, err := a.loadTarget(ctx, in.ExecutionID)
	if err != nil {
		return toTemporal(ctx, err)
	}
	if r.execution.Status.Finished() {
		// Somebody closed it meanwhile. What is recorded as ended must not change its target any more.
		return toTemporal(ctx, fmt.Errorf("restore %s: %w", in.ExecutionID, db.ErrExecutionFinished))
	}
	if !r.options.Direct() { // there is no backup
		if err := a.openBackup(ctx, r); err != nil {
			err = failure.WithSubject(err, aboutDatasource(r.target.Name))
			return toTemporal(ctx, giveUpOnStorage(ctx, err, in.StorageAttempts))
		}
	}
	defer r.close()
	err = failure.WithSubject(step(ctx, r), aboutDatasource(r.target.Name))
	return toTemporal(ctx, giveUpOnStorage(ctx, err, in.StorageAttempts), r.secrets()...)
}

// waiting sends heartbeats while a step waits on the target.
func (a *Activities) waiting(ctx context.Context, r *restore, phase domain.Phase, step func() error) error {
	stop := a.report(ctx, r.execution.ID, func() domain.Progress { return domain.Progress{Phase: phase} })
	defer stop()
	return step()
}

// CheckTarget refuses a target that can not be restored into.
func (a *Activities) CheckTarget(ctx context.Context, in contract.RestoreStep) (contract.Nothing, error) {
	return contract.Nothing{}, a.withRestore(ctx, in, func(ctx context.Context, r *restore) error {
		return a.waiting(ctx, r, domain.PhaseChecking, func() error {
			if dir := r.options.ReferencedFilesDirectory; dir != "" {
				if err := referenced.CheckTarget(dir, r.request().Token); err != nil {
					return err
				}
			}
			err := a.reach(ctx, r.target, func(src engine.Source) error { return r.stager.CheckTarget(ctx, src, r.request()) })
			if err == nil {
				a.at("restore.target_checked")
			}
			return err
		})
	})
}

// CheckArchive reads every stored byte of the backup and compares it with the manifest's
// checksums, before the restore writes anything.
func (a *Activities) CheckArchive(ctx context.Context, in contract.RestoreStep) (contract.VerifyResult, error) {
	var result contract.VerifyResult
	err := a.withRestore(ctx, in, func(ctx context.Context, r *restore) (err error) {
		counter := newByteCounter(domain.PhaseChecking, r.manifest)
		stop := a.report(ctx, in.ExecutionID, counter.progress)
		defer stop()
		result.Objects, result.Bytes, err = archive.CheckBytes(ctx, r.backup.store, r.manifest, counter.seen)
		if err == nil {
			a.at("restore.archive_checked")
		}
		return failure.WithSubject(err, aboutStorage(r.backup.storage.Name))
	})
	return result, err
}

// StageRestore loads the backup beside the target.
func (a *Activities) StageRestore(ctx context.Context, in contract.ExecutionRef) (contract.StageResult, error) {
	var result contract.StageResult
	err := a.withRestore(ctx, contract.RestoreStep{ExecutionID: in.ExecutionID}, func(ctx context.Context, r *restore) error {
		identities, err := a.identities(ctx)
		if err != nil {
			return err
		}
		counter := newByteCounter(domain.PhaseLoading, r.manifest)
		reader, err := archive.NewReader(r.backup.store, r.manifest, identities, archive.ReaderOptions{})
		if err != nil {
			return failure.WithSubject(err, aboutStorage(r.backup.storage.Name))
		}
		stop := a.report(ctx, in.ExecutionID, counter.progress)
		defer stop()
		var staged engine.StageReport
		err = a.reach(ctx, r.target, func(src engine.Source) (err error) {
			if err := a.restoreGlobals(ctx, r, src, reader, counter); err != nil {
				return err
			}
			staged, err = r.load(ctx, src, counter.server.tell, func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
				return counter.open(ctx, reader, name, offset)
			})
			if err != nil {
				return err
			}
			return a.finishStaging(ctx, r, src, staged)
		})
		if err != nil {
			return err
		}
		if r.options.VerificationMode && staged.Tables == 0 {
			return failure.New(failure.Corrupt, "verify the restored database", "it has no tables",
				"Look at what the backup job includes: a backup of nothing proves nothing.")
		}
		if err := a.restoreReferenced(ctx, r, reader, counter); err != nil {
			return err
		}
		a.at("restore.staged")
		result = contract.StageResult{Tables: staged.Tables, Bytes: r.backup.execution.SizeBytes, Staging: staged.Staging}
		if err := a.recordStaged(ctx, r, staged, r.backup.execution.SizeBytes); err != nil {
			return err
		}
		a.at("restore.report_recorded")
		return nil
	})
	return result, err
}

func (a *Activities) recordStaged(ctx context.Context, r *restore, staged engine.StageReport, bytes int64) error {
	report := domain.RestoreReport{Database: r.targetName(), Tables: staged.Tables, Bytes: bytes}
	if r.options.VerificationMode {
		report.Database = ""
		if r.options.KeepDatabase {
			report.Database = staged.Staging
		}
	}
	for _, warning := range staged.Warnings {
		a.log(ctx, r.execution.ID, "warning", "%s", warning)
	}
	a.log(ctx, r.execution.ID, "info", "loaded %d tables into %s", staged.Tables, staged.Staging)
	return a.DB.SetRestoreReport(ctx, r.execution.ID, report)
}

// PromoteRestore gives what was loaded the target's name.
func (a *Activities) PromoteRestore(ctx context.Context, in contract.ExecutionRef) (contract.Nothing, error) {
	return contract.Nothing{}, a.withRestore(ctx, contract.RestoreStep{ExecutionID: in.ExecutionID}, func(ctx context.Context, r *restore) error {
		var warnings []string
		err := a.waiting(ctx, r, domain.PhaseSwapping, func() error {
			return a.reach(ctx, r.target, func(src engine.Source) (err error) {
				warnings, err = r.stager.Promote(ctx, src, r.request())
				return err
			})
		})
		for _, w := range warnings {
			a.log(ctx, r.execution.ID, "warning", "%s", w)
		}
		if err == nil {
			a.at("restore.promoted")
			a.log(ctx, r.execution.ID, "info", "%s holds the restored data", r.targetName())
		}
		return err
	})
}

// DiscardRestore drops what was loaded beside the target. It needs neither the manifest nor the
// storage location, which may be why the restore failed.
func (a *Activities) DiscardRestore(ctx context.Context, in contract.ExecutionRef) (contract.Nothing, error) {
	r, err := a.loadTarget(ctx, in.ExecutionID)
	if err != nil {
		return contract.Nothing{}, toTemporal(ctx, err)
	}
	return contract.Nothing{}, a.discardStaging(ctx, r)
}

// DropStaging is DiscardRestore for a restore that was closed because its workflow was gone. One that
// completed after all keeps what it made; one that goes on after all, because its workflow was reset, is
// waited for.
func (a *Activities) DropStaging(ctx context.Context, in contract.ExecutionRef) (contract.Nothing, error) {
	r, err := a.loadTarget(ctx, in.ExecutionID)
	switch {
	case err != nil:
		return contract.Nothing{}, toTemporal(ctx, err)
	case !r.execution.Status.Finished():
		return contract.Nothing{}, toTemporal(ctx, failure.New(failure.Unknown, "clean up after restore "+in.ExecutionID, "it has not ended", ""))
	case r.execution.Status == domain.Completed:
		return contract.Nothing{}, nil
	}
	if err := a.discardStaging(ctx, r); err != nil {
		return contract.Nothing{}, err
	}
	a.log(ctx, in.ExecutionID, "info", "what was loaded beside the target is dropped")
	return contract.Nothing{}, nil
}

func (a *Activities) discardStaging(ctx context.Context, r *restore) error {
	err := a.waiting(ctx, r, domain.PhaseCleaning, func() error {
		request := r.request()
		request.Explain = func(message string) { a.log(ctx, r.execution.ID, "warning", "%s", message) }
		err := a.reach(ctx, r.target, func(src engine.Source) error { return r.stager.Discard(ctx, src, request) })
		if err == nil {
			a.at("restore.discarded")
		}
		return err
	})
	return toTemporal(ctx, failure.WithSubject(err, aboutDatasource(r.target.Name)), r.target.Config.SecretValues()...)
}
