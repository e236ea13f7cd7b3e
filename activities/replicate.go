package activities

import (
	"bytes"
	"context"
	"errors"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// BeginReplica records that a storage location is going to hold a copy of a backup. From then on whoever
// counts references there counts the backup, and nobody deletes it.
func (a *Activities) BeginReplica(ctx context.Context, in contract.ReplicaRef) (contract.Plan, error) {
	plan, err := a.beginReplica(ctx, in)
	return plan, toTemporal(ctx, err)
}

func (a *Activities) beginReplica(ctx context.Context, in contract.ReplicaRef) (contract.Plan, error) {
	op := "copy backup " + in.ExecutionID
	e, err := a.DB.GetExecution(ctx, in.ExecutionID)
	switch {
	case err != nil:
		return contract.Plan{}, err
	case e.Metadata.Operation != domain.OperationBackup || e.Metadata.ManifestSHA256 == "" || e.DatasourceID == nil,
		e.Status != domain.Running && e.Status != domain.Completed:
		return contract.Plan{}, failure.New(failure.ConfigInvalid, op, "it is no backup that can be copied", "")
	}
	datasource, err := a.DB.GetDatasource(ctx, *e.DatasourceID)
	if err != nil {
		return contract.Plan{}, err
	}
	location, err := a.usableTarget(ctx, in.StorageLocationID, datasource.Pool)
	if err != nil {
		return contract.Plan{}, err
	}
	_, err = a.DB.BeginReplica(ctx, db.Replica{ExecutionID: e.ID, StorageLocationID: location.ID, ManifestPath: e.Metadata.ManifestPath})
	if err != nil {
		return contract.Plan{}, err
	}
	a.at("replicate.begun")
	_, err = a.DB.RecordTarget(ctx, e.ID, db.TargetReport{Result: domain.StorageResult{
		StorageLocationID: location.ID, Name: location.Name, Status: domain.TargetPending,
	}})
	return a.planOf(e), err
}

// CopyBackup copies a backup to the storage location that BeginReplica named: the objects that are not
// there, the manifest last; then it looks for every object, as a quick verification does. A try after a
// lost one goes on where that one was.
func (a *Activities) CopyBackup(ctx context.Context, in contract.ReplicaRef) (contract.CopyResult, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	c := &copying{a: a}
	defer c.close()
	resume(ctx, &c.state)
	c.pulse = startPulse(ctx, a.Tuning.ProgressEvery, c.state)
	defer c.pulse.stop()
	err := c.open(ctx, in)
	if err == nil {
		err = c.run(ctx)
	}
	return contract.CopyResult{Objects: c.objects, Copied: c.state.Copied, Bytes: c.state.Bytes}, toTemporal(ctx, err)
}

// copying is the copying of one backup to one storage location.
type copying struct {
	a         *Activities
	execution db.Execution
	source    db.StorageLocation
	from      storage.Store
	manifest  *archive.Manifest
	target    db.StorageLocation
	to        storage.Store
	objects   int64
	earlier   copyState // what tries before this one did
	state     copyState
	pulse     *pulse[copyState]
}

// copyState rides in the heartbeats. Durable objects, from the first of the manifest, are on the target.
type copyState struct {
	Durable int   `json:"durable"`
	Copied  int64 `json:"copied"`
	Bytes   int64 `json:"bytes"`
}

func (c *copying) close() {
	for _, store := range []storage.Store{c.from, c.to} {
		if store != nil {
			_ = store.Close()
		}
	}
}

func (c *copying) open(ctx context.Context, in contract.ReplicaRef) (err error) {
	if c.execution, err = c.a.DB.GetExecution(ctx, in.ExecutionID); err != nil {
		return err
	}
	if c.execution.DeletingAt != nil {
		return failure.Wrap(failure.NotFound, "copy backup "+in.ExecutionID, db.ErrDeleting, "")
	}
	if c.target, err = c.a.DB.GetStorageLocation(ctx, in.StorageLocationID); err != nil {
		return err
	}
	if err := c.openSource(ctx); err != nil {
		return err
	}
	use := storage.Use{}
	if options := c.execution.Metadata.Options; options != nil {
		use.BandwidthMbps = options.BandwidthLimitMbps
	}
	if c.to, err = c.a.openStorage(ctx, c.target, use); err != nil {
		return err
	}
	if err := c.a.bindRepository(ctx, c.target, c.to); err != nil {
		return err
	}
	return c.refuseSamePlace(ctx)
}

// openSource opens the first location that holds the backup and shows its manifest.
func (c *copying) openSource(ctx context.Context) error {
	ids, err := c.a.otherCopies(ctx, c.execution, c.target.ID)
	if err != nil {
		return err
	}
	err = failure.New(failure.NotFound, "copy backup "+c.execution.ID, "no other storage location has it", "")
	for i, id := range ids {
		location, store, failed := c.a.openLocation(ctx, id)
		if failed == nil {
			c.manifest, failed = archive.OpenManifest(ctx, store, c.execution.Metadata.ManifestPath, c.execution.Metadata.ManifestSHA256)
			if failed == nil {
				c.source, c.from, c.objects = location, store, int64(len(c.manifest.Objects))
				return nil
			}
			_ = store.Close()
			failed = failure.WithSubject(failed, aboutStorage(location.Name))
		}
		if i == 0 {
			err = failed
		}
	}
	return err
}

// refuseSamePlace keeps a directory that was entered twice from being taken for two copies. A copy of a
// whole location has its repository id too, so what is written to one is looked for on the other.
func (c *copying) refuseSamePlace(ctx context.Context) error {
	here, err := archive.ReadRepository(ctx, c.to)
	if err != nil {
		return failure.WithSubject(err, aboutStorage(c.target.Name))
	}
	if here.ID != c.source.RepositoryID {
		return nil
	}
	key, mark := "probe/"+probeName(ctx), []byte("DataGuardian looks for this on another storage location.")
	if err := c.to.Put(ctx, key, bytes.NewReader(mark), int64(len(mark))); err != nil {
		return failure.WithSubject(err, aboutStorage(c.target.Name))
	}
	_, err = c.from.Stat(ctx, key)
	if failed := c.to.Delete(context.WithoutCancel(ctx), key); failed != nil {
		return failure.WithSubject(failed, aboutStorage(c.target.Name))
	}
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil:
		return failure.WithSubject(err, aboutStorage(c.source.Name))
	}
	return failure.WithSubject(failure.New(failure.ConfigInvalid, "copy backup",
		"it is the same place as storage location "+quoted(c.source.Name), "Choose a location on another disk or server."), aboutStorage(c.target.Name))
}

func (c *copying) run(ctx context.Context) error {
	// The row that BeginReplica wrote is counted by every deletion that looks now; one that has begun
	// before may still remove what they share.
	deleting, err := c.a.DB.SharerBeingDeleted(ctx, c.execution.ID, c.target.ID)
	if err != nil {
		return err
	}
	if deleting {
		return failure.New(failure.Unknown, "copy backup "+c.execution.ID,
			"a backup that shares objects with it is being deleted from "+quoted(c.target.Name), "Try again when that is done.")
	}
	c.earlier = c.state
	if err := c.copyAll(ctx); err != nil {
		return c.blame(err)
	}
	if err := c.a.DB.CompleteReplica(ctx, c.execution.ID, c.target.ID); err != nil {
		if errors.Is(err, db.ErrDeleting) || errors.Is(err, db.ErrNotFound) {
			// A manifest that came back after its backup was deleted would be a backup that nobody knows.
			err = errors.Join(err, c.to.Delete(context.WithoutCancel(ctx), c.execution.Metadata.ManifestPath))
		}
		return err
	}
	c.a.at("replicate.recorded")
	return nil
}

func (c *copying) copyAll(ctx context.Context) error {
	key := c.execution.Metadata.ManifestPath
	_, err := archive.CopyObjects(ctx, c.from, c.to, c.manifest, archive.CopyOptions{
		Parallel: c.a.Tuning.Uploads, Durable: c.state.Durable, Trusted: c.doubtful,
		Progress: func(durable int, done archive.Copied) { c.progress(ctx, durable, done) },
	})
	if err != nil {
		return err
	}
	c.a.at("replicate.objects_copied")
	if err := archive.CopyManifest(ctx, c.from, key, c.to, key, c.execution.Metadata.ManifestSHA256); err != nil {
		return err
	}
	c.a.at("replicate.manifest_written")
	_, _, err = archive.CheckObjects(ctx, c.to, c.manifest, nil)
	return err
}

// progress is told after every batch.
func (c *copying) progress(ctx context.Context, durable int, done archive.Copied) {
	c.state = copyState{Durable: durable, Copied: c.earlier.Copied + done.Copied, Bytes: c.earlier.Bytes + done.Bytes}
	c.pulse.set(c.state)
	c.a.at("replicate.batch_copied")
	// As in reporter.tell: it is for people, and losing one is no reason to stop.
	if err := c.a.DB.UpdateProgress(ctx, c.execution.ID, domain.Progress{
		Phase: domain.PhaseCopying, Chunks: int64(durable), Skipped: done.Present, Stored: c.state.Bytes,
		Bytes: int64(float64(c.execution.SizeBytes) * float64(durable) / float64(max(c.objects, 1))), Total: c.execution.SizeBytes,
	}); err != nil && ctx.Err() == nil {
		c.a.Logger.Warn("progress was not recorded", "execution", c.execution.ID, "error", err)
	}
}

// doubtful takes away from objects of the manifest, in the order of their ids, those that another backup
// has on the target.
func (c *copying) doubtful(ctx context.Context, indices []int) (left []int, err error) {
	var after []byte
	for len(indices) > 0 {
		page, err := c.a.DB.PageShared(ctx, c.execution.ID, c.target.ID, after, removeBatch)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			break
		}
		for _, row := range page {
			for len(indices) > 0 && bytes.Compare(c.manifest.Objects[indices[0]].ID[:], row.ID) < 0 {
				left, indices = append(left, indices[0]), indices[1:]
			}
			if len(indices) == 0 || !bytes.Equal(c.manifest.Objects[indices[0]].ID[:], row.ID) {
				continue
			}
			if !row.Shared || row.Folder != c.manifest.Folder(indices[0]) {
				left = append(left, indices[0])
			}
			indices = indices[1:]
		}
		after = page[len(page)-1].ID
	}
	return append(left, indices...), nil
}

// blame names the location whose error it is.
func (c *copying) blame(err error) error {
	var source *archive.SourceError
	if errors.As(err, &source) {
		return failure.WithSubject(err, aboutStorage(c.source.Name))
	}
	return failure.WithSubject(err, aboutStorage(c.target.Name))
}
