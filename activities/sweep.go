package activities

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

const (
	// orphanAge keeps what is being written right now, by whoever it is, from being taken for an orphan.
	orphanAge = 24 * time.Hour
	// maxDeletions is how many interrupted deletions one reconciliation finishes.
	maxDeletions = 200
	// maxOrphans bounds the memory of a sweep: about 250 bytes each, so 60 MB. What is beyond is left to
	// the next sweep. Nothing else grows with the number of objects: the listing is streamed, and
	// references are looked up in batches.
	maxOrphans = 250_000
	// maxNamed is how many manifests a report names.
	maxNamed = 10
)

// PlanReconcile says what a reconciliation of a storage location begins with.
func (a *Activities) PlanReconcile(ctx context.Context, in contract.ReconcileInput) (contract.ReconcilePlan, error) {
	location, err := a.DB.GetStorageLocation(ctx, in.StorageID)
	if err != nil {
		return contract.ReconcilePlan{}, toTemporal(ctx, err)
	}
	if !location.Enabled || location.RepositoryID == "" {
		return contract.ReconcilePlan{Skip: true}, nil
	}
	plan := contract.ReconcilePlan{Plan: a.planOf(db.Execution{})}
	plan.Deletions, err = a.DB.ListDeleting(ctx, location.ID, maxDeletions+1)
	if len(plan.Deletions) > maxDeletions {
		plan.Deletions, plan.More = plan.Deletions[:maxDeletions], true
	}
	return plan, toTemporal(ctx, err)
}

// SweepStorage removes from a storage location what failed backups left there and what nothing refers
// to, or only counts it. An object is an orphan if it is older than a day, no backup in the catalogue
// that is kept or running refers to it, no manifest on the location names it, and its folder is not
// that of a running backup. Directories of datasources that the catalogue does not know are not looked
// at, and a backup that it does not know is kept with all its objects.
func (a *Activities) SweepStorage(ctx context.Context, in contract.ReconcileInput) (contract.ReconcileResult, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	pulse := startPulse(ctx, a.Tuning.ProgressEvery, struct{}{})
	defer pulse.stop()
	result, err := a.sweep(ctx, in)
	return result, toTemporal(ctx, err)
}

func (a *Activities) sweep(ctx context.Context, in contract.ReconcileInput) (contract.ReconcileResult, error) {
	s := &sweeper{a: a, started: time.Now(), datasources: map[string]bool{}, orphans: map[string]orphan{}}
	s.result.DryRun = in.DryRun
	ids, err := a.DB.ListDatasourceIDs(ctx)
	if err != nil {
		return s.result, err
	}
	for _, id := range ids {
		s.datasources[domain.ID8(id)] = true
	}
	if s.location, s.store, err = a.openLocation(ctx, in.StorageID); err != nil {
		return s.result, err
	}
	defer func() { _ = s.store.Close() }()
	err = s.run(ctx)
	return s.result, failure.WithSubject(err, aboutStorage(s.location.Name))
}

// sweeper compares one storage location with the catalogue.
type sweeper struct {
	a           *Activities
	location    db.StorageLocation
	store       storage.Store
	started     time.Time
	datasources map[string]bool // id8 of those that the catalogue knows
	result      contract.ReconcileResult

	folder    sweptFolder
	batch     []storage.Object // chunks of the folder, not yet looked up
	chunks    [][32]byte       // their ids
	orphans   map[string]orphan
	manifests []string         // that stay: what they name stays too
	doomed    []storage.Object // manifests that go
}

// orphan is an object that the catalogue does not need.
type orphan struct {
	bytes    int64
	leftover bool // of a failed or cancelled backup
}

func (s *sweeper) run(ctx context.Context) error {
	err := s.store.List(ctx, "", func(o storage.Object) error {
		place, ours := archive.Locate(o.Key)
		switch {
		case !ours || !s.datasources[place.Datasource()]:
			return nil
		case place.IsManifest():
			return s.manifest(ctx, o, place)
		default:
			return s.chunk(ctx, o, place)
		}
	})
	if err != nil {
		return err
	}
	if err := s.lookUp(ctx); err != nil {
		return err
	}
	if err := s.spareNamed(ctx); err != nil {
		return err
	}
	for _, o := range s.orphans {
		if o.leftover {
			s.result.Leftovers.Add(o.bytes)
		} else {
			s.result.Orphans.Add(o.bytes)
		}
	}
	if s.result.DryRun {
		return nil
	}
	return s.remove(ctx)
}

// remove deletes what was found: manifests first and durably, so that none is left whose objects
// have gone.
func (s *sweeper) remove(ctx context.Context) error {
	for _, o := range s.doomed {
		if err := s.store.Delete(ctx, o.Key); err != nil {
			return err
		}
	}
	if len(s.doomed) > 0 {
		if err := s.store.Sync(ctx); err != nil {
			return err
		}
		s.a.at("reconcile.manifests_removed")
	}
	keys := make([]string, 0, min(len(s.orphans), removeBatch))
	for key := range s.orphans {
		if keys = append(keys, key); len(keys) == removeBatch {
			if err := storage.DeleteMany(ctx, s.store, keys); err != nil {
				return err
			}
			s.a.at("reconcile.batch_removed")
			keys = keys[:0]
		}
	}
	if err := storage.DeleteMany(ctx, s.store, keys); err != nil {
		return err
	}
	s.a.at("reconcile.objects_removed")
	_, err := s.a.DB.ForgetChunksOfFailed(ctx, s.location.ID, s.started)
	return err
}
