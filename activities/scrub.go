package activities

import (
	"context"
	"sync/atomic"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// StartScrub records that a run of the scrub begins.
func (a *Activities) StartScrub(ctx context.Context, in contract.ScrubStep) (contract.Nothing, error) {
	return contract.Nothing{}, toTemporal(ctx, a.DB.StartScrub(ctx, in.RunID, in.StorageLocationID))
}

// NextScrub chooses what the run reads next.
func (a *Activities) NextScrub(ctx context.Context, in contract.ScrubStep) (contract.ScrubNext, error) {
	settings, err := a.DB.ScrubSettings(ctx)
	if err != nil {
		return contract.ScrubNext{}, toTemporal(ctx, err)
	}
	generation, err := a.DB.NextScrub(ctx, in.RunID, settings, in.Without)
	return contract.ScrubNext{Generation: generation}, toTemporal(ctx, err)
}

// FinishScrub records the end of a run and returns what it read.
func (a *Activities) FinishScrub(ctx context.Context, in contract.ScrubStep) (contract.ScrubResult, error) {
	if err := a.DB.FinishScrub(ctx, in.RunID); err != nil {
		return contract.ScrubResult{}, toTemporal(ctx, err)
	}
	run, err := a.DB.GetScrub(ctx, in.RunID)
	return contract.ScrubResult{Backups: run.Backups, Objects: run.Objects, Bytes: run.Bytes, Damaged: run.Damaged}, toTemporal(ctx, err)
}

// CheckGeneration reads the backups of a generation that a storage location holds, each object once,
// as a restore does but without the engine: that every byte is what was stored is what matters here.
func (a *Activities) CheckGeneration(ctx context.Context, in contract.ScrubStep) (contract.CopyCheck, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	result, err := a.checkGeneration(ctx, in)
	return result, toTemporal(ctx, err)
}

func (a *Activities) checkGeneration(ctx context.Context, in contract.ScrubStep) (total contract.CopyCheck, err error) {
	copies, err := a.DB.ListGenerationCopies(ctx, in.StorageLocationID, in.Generation)
	if err != nil || len(copies) == 0 {
		return contract.CopyCheck{OK: true}, err
	}
	location, store, err := a.openLocation(ctx, in.StorageLocationID)
	if err != nil {
		return total, err
	}
	defer func() { _ = store.Close() }()
	progress := newCheckProgress()
	stop := a.report(ctx, copies[0].ExecutionID, progress.now)
	defer stop()
	total.OK = true
	var shared *sharedObjects
	if len(copies) > 1 {
		shared = newSharedObjects()
	}
	for _, one := range copies {
		c := &copyCheck{a: a, copy: one, location: location, store: store, mode: domain.VerifyChunks, shared: shared, follow: progress.follow}
		if err := c.run(ctx); err != nil {
			if _, gone := a.DB.GetCopy(ctx, one.ExecutionID, one.StorageLocationID); failure.ClassOf(gone) == failure.NotFound {
				// Deleted while it was read: what was found in objects that others share is not recorded.
				shared = shared.forgotten()
				continue
			}
			return total, failure.WithSubject(err, aboutStorage(location.Name))
		}
		r := c.result()
		total.OK = total.OK && r.OK
		total.Backups, total.Objects = total.Backups+1, total.Objects+r.Objects
		total.Bytes, total.Damaged = total.Bytes+r.Bytes, total.Damaged+r.Damaged
		err := a.DB.AddScrubbed(ctx, db.ScrubRun{ID: in.RunID, Backups: 1, Objects: r.Objects, Bytes: r.Bytes, Damaged: r.Damaged})
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// sharedObjects remembers which objects were read, for backups that share them. A nil one remembers
// nothing.
type sharedObjects struct {
	seen    map[objectName]struct{}
	damaged []string
}

type objectName struct {
	id     archive.ChunkID
	folder string
}

func newSharedObjects() *sharedObjects { return &sharedObjects{seen: map[objectName]struct{}{}} }

func (s *sharedObjects) skip(m *archive.Manifest) func(int) bool {
	if s == nil {
		return nil
	}
	return func(i int) bool {
		_, seen := s.seen[objectName{m.Objects[i].ID, m.Folder(i)}]
		return seen
	}
}

func (s *sharedObjects) saw(m *archive.Manifest, found archive.Findings) {
	if s == nil {
		return
	}
	if found.Count > int64(len(found.Damaged)) {
		return // which others are damaged too is not listed: whoever shares them has to look
	}
	for i := range m.Objects {
		s.seen[objectName{m.Objects[i].ID, m.Folder(i)}] = struct{}{}
	}
	for _, d := range found.Damaged {
		s.damaged = append(s.damaged, d.Key)
	}
}

// forgotten begins anew: everything is read again.
func (s *sharedObjects) forgotten() *sharedObjects {
	if s == nil {
		return nil
	}
	return newSharedObjects()
}

func (s *sharedObjects) damagedKeys() []string {
	if s == nil {
		return nil
	}
	return s.damaged
}

// checkProgress reports the check that is running now.
type checkProgress struct{ counter atomic.Pointer[byteCounter] }

func newCheckProgress() *checkProgress { return &checkProgress{} }

func (p *checkProgress) follow(c *byteCounter) { p.counter.Store(c) }

func (p *checkProgress) now() domain.Progress {
	if c := p.counter.Load(); c != nil {
		return c.progress()
	}
	return domain.Progress{Phase: domain.PhaseVerifying}
}
