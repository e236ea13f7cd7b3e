package activities

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// removeBatch is how many objects are looked up and removed together.
const removeBatch = 1000

// MarkDeleting is the first phase of a deletion. An execution that something holds is refused, and the
// reason told in its log; one that is gone has been deleted already.
func (a *Activities) MarkDeleting(ctx context.Context, in contract.ExecutionRef) (contract.DeletePlan, error) {
	err := a.DB.MarkDeleting(ctx, in.ExecutionID)
	var held *db.InUseError
	switch {
	case errors.Is(err, db.ErrNotFound):
		return contract.DeletePlan{Gone: true}, nil
	case errors.As(err, &held):
		reason := strings.Join(held.Holders, ", ")
		a.log(ctx, in.ExecutionID, "warning", "not deleted: %s", reason)
		return contract.DeletePlan{}, toTemporal(ctx, failure.New(failure.ConfigInvalid, "delete execution "+in.ExecutionID, reason, ""))
	case err != nil:
		return contract.DeletePlan{}, toTemporal(ctx, err)
	}
	a.at("delete.marked")
	plan, err := a.deletePlan(ctx, in.ExecutionID)
	return plan, toTemporal(ctx, err)
}

func (a *Activities) deletePlan(ctx context.Context, executionID string) (contract.DeletePlan, error) {
	e, err := a.DB.GetExecution(ctx, executionID)
	if err != nil {
		return contract.DeletePlan{}, err
	}
	options := domain.BackupOptions{}
	options.Normalize()
	plan := contract.DeletePlan{Plan: a.planOf(e)}
	plan.TimeoutMinutes = options.TimeoutMinutes
	// What never began to dump, or was no backup, has stored nothing.
	if e.Metadata.Operation != domain.OperationBackup || e.Metadata.ManifestPath == "" || e.StorageLocationID == nil {
		return plan, nil
	}
	at := []string{*e.StorageLocationID}
	replicas, err := a.DB.ListReplicas(ctx, e.ID)
	if err != nil {
		return plan, err
	}
	for _, r := range replicas {
		at = append(at, r.StorageLocationID)
	}
	slices.Sort(at[1:])
	for _, id := range slices.Compact(at) {
		location, err := a.DB.GetStorageLocation(ctx, id)
		if err != nil {
			return plan, err
		}
		plan.Places = append(plan.Places, contract.Place{StorageID: location.ID, Name: location.Name, Pool: location.Pool})
	}
	return plan, nil
}

// EraseBackup is the second phase, on one storage location: first the manifest, which ends the backup,
// then every object to which no other backup there refers. A try after a lost one goes on where that
// one was.
func (a *Activities) EraseBackup(ctx context.Context, in contract.EraseInput) (contract.DeleteResult, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	e, err := a.openErasure(ctx, in)
	if err != nil {
		return contract.DeleteResult{}, toTemporal(ctx, err)
	}
	defer e.job.close()
	pulse := startPulse(ctx, a.Tuning.ProgressEvery, e.state)
	defer pulse.stop()
	err = e.run(ctx, pulse)
	return pulse.state.Result, toTemporal(ctx, failure.WithSubject(err, aboutStorage(e.job.storage.Name)))
}

// erasure is the removal of one backup's objects from one storage location.
type erasure struct {
	a     *Activities
	job   *backup
	state eraseState
}

// eraseState rides in the heartbeats.
type eraseState struct {
	After  []byte                `json:"after,omitempty"` // id of the last chunk that was dealt with
	Result contract.DeleteResult `json:"result"`
}

func (a *Activities) openErasure(ctx context.Context, in contract.EraseInput) (*erasure, error) {
	job := &backup{}
	var err error
	if job.execution, err = a.DB.GetExecution(ctx, in.ExecutionID); err != nil {
		return nil, err
	}
	if job.execution.DeletingAt == nil {
		return nil, failure.New(failure.ConfigInvalid, "erase backup "+in.ExecutionID, "it is not marked as being deleted", "")
	}
	if job.execution.Metadata.Options != nil {
		job.options = *job.execution.Metadata.Options
	}
	job.options.Normalize()
	if job.storage, job.store, err = a.openLocation(ctx, in.StorageID); err != nil {
		return nil, err
	}
	e := &erasure{a: a, job: job}
	resume(ctx, &e.state)
	return e, nil
}

func (e *erasure) run(ctx context.Context, p *pulse[eraseState]) error {
	if err := e.removeManifest(ctx); err != nil {
		return err
	}
	e.a.at("delete.manifest_removed")
	spared, err := e.spare(ctx)
	if err != nil {
		return err
	}
	if err := e.removeChunks(ctx, p, spared); err != nil {
		return err
	}
	if e.job.execution.Status != domain.Completed {
		// The rows of a backup that failed need not name all that it stored.
		if err := e.removeOwnFolders(ctx, spared); err != nil {
			return err
		}
	}
	e.a.at("delete.objects_removed")
	return nil
}

// removeManifest is durable when it returns: a crash must not bring a manifest back whose objects
// have gone.
func (e *erasure) removeManifest(ctx context.Context) error {
	if err := deleteObjects(ctx, e.job.store, e.job.manifestPrefix(), everyObject); err != nil {
		return err
	}
	// A try that was lost may have deleted it and not come to Sync: deleted again, it is ours to sync.
	if manifest := e.job.execution.Metadata.ManifestPath; manifest != "" {
		if err := e.job.store.Delete(ctx, manifest); err != nil {
			return err
		}
	}
	return e.job.store.Sync(ctx)
}

// removeChunks looks the chunks up in batches, in the order of their ids. A chunk that is not
// referenced now can not come to be: whoever may reuse it holds a backup whose rows refer to it.
func (e *erasure) removeChunks(ctx context.Context, p *pulse[eraseState], spared spared) error {
	for state := p.state; ; {
		page, err := e.a.DB.PageRemovable(ctx, e.job.id(), e.job.storage.ID, state.After, removeBatch)
		if err != nil || len(page) == 0 {
			return err
		}
		var keys []string
		for _, c := range page {
			if c.Referenced || spared.has(c.ID, c.Folder) {
				state.Result.Kept++
				continue
			}
			keys = append(keys, archive.ObjectKey(e.job.directory(), c.Folder, c.ID, e.job.options.Compression, e.job.options.Encrypted()))
			state.Result.Objects, state.Result.Bytes = state.Result.Objects+1, state.Result.Bytes+c.StoredBytes
		}
		if err := storage.DeleteMany(ctx, e.job.store, keys); err != nil {
			return err
		}
		last := page[len(page)-1].ID
		state.After = last[:]
		p.set(state)
		e.a.at("delete.batch_removed")
	}
}

// removeOwnFolders removes all that a backup which is no more stored into folders of its own.
func (e *erasure) removeOwnFolders(ctx context.Context, spared spared) error {
	return deleteObjects(ctx, e.job.store, e.job.chunkPrefix(), func(key string) bool { return e.job.stored(key) && !spared.hasKey(key) })
}

// RemoveExecution is the last phase: the rows go, in one transaction.
func (a *Activities) RemoveExecution(ctx context.Context, in contract.ExecutionRef) (contract.Nothing, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	p := startPulse(ctx, a.Tuning.ProgressEvery, struct{}{})
	defer p.stop()
	if err := a.DB.RemoveExecution(ctx, in.ExecutionID); err != nil {
		return contract.Nothing{}, toTemporal(ctx, err)
	}
	a.at("delete.rows_removed")
	a.Logger.Info("execution deleted", "execution", in.ExecutionID)
	return contract.Nothing{}, nil
}
