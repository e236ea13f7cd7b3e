package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// ScrubRun is one run of the scrub over a storage location.
type ScrubRun struct {
	ID                string
	StorageLocationID string
	Backups           int64
	Objects           int64 // read
	Bytes             int64 // read
	Damaged           int64
	StartedAt         time.Time
	FinishedAt        *time.Time
}

// scrubHistory is how long runs are kept: the longest window that the share is kept to is that of a
// share of one percent.
const scrubHistory = 100 * week

const week = 7 * 24 * time.Hour

// StartScrub records a run; again with the same id, it does nothing. It also drops what is recorded
// about deleted backups and about runs long past. Errors: ReferenceError.
func (q *Queries) StartScrub(ctx context.Context, id, storageLocationID string) error {
	op := "start a scrub of storage location " + storageLocationID
	for _, id := range []string{id, storageLocationID} {
		if err := checkID(op, id); err != nil {
			return err
		}
	}
	return q.inTx(ctx, func(q *Queries) error {
		if err := q.q.StartScrub(ctx, dbgen.StartScrubParams{ID: id, StorageLocationID: storageLocationID}); err != nil {
			return translate(op, err)
		}
		before := time.Now().Add(-scrubHistory)
		if err := q.q.PruneScrubs(ctx, dbgen.PruneScrubsParams{StorageLocationID: storageLocationID, Before: before}); err != nil {
			return translate(op, err)
		}
		return q.ForgetDamage(ctx, storageLocationID)
	})
}

// GetScrub reads a run. Errors: ErrNotFound.
func (q *Queries) GetScrub(ctx context.Context, id string) (ScrubRun, error) {
	op := "read scrub run " + id
	if err := checkID(op, id); err != nil {
		return ScrubRun{}, err
	}
	row, err := q.q.GetScrub(ctx, id)
	return ScrubRun(row), translate(op, err)
}

// AddScrubbed adds what was read to a run. Errors: ErrNotFound.
func (q *Queries) AddScrubbed(ctx context.Context, read ScrubRun) error {
	n, err := q.q.AddScrubbed(ctx, dbgen.AddScrubbedParams{
		ID: read.ID, Backups: read.Backups, Objects: read.Objects, Bytes: read.Bytes, Damaged: read.Damaged,
	})
	return oneRow("record what scrub run "+read.ID+" read", n, err)
}

// FinishScrub ends a run. Errors: ErrNotFound.
func (q *Queries) FinishScrub(ctx context.Context, id string) error {
	n, err := q.q.FinishScrub(ctx, id)
	return oneRow("finish scrub run "+id, n, err)
}

// NextScrub chooses the generation that a run reads next: the one with the backup that was verified
// the longest ago, or was written then and never verified. "" when the run has read its part: a
// seventh of the weekly share, no more than the share in any week, and no more than everything in the
// time that the share takes for that. A generation is read whole, so each of these may be exceeded by
// one. without are generations that this run could not read.
func (q *Queries) NextScrub(ctx context.Context, id string, s domain.ScrubSettings, without []string) (generation string, err error) {
	op := "choose what scrub run " + id + " reads next"
	run, err := q.GetScrub(ctx, id)
	if err != nil || s.WeeklySharePercent == 0 {
		return "", err
	}
	stored, err := q.q.StoredOn(ctx, run.StorageLocationID)
	if err != nil {
		return "", translate(op, err)
	}
	weekly := float64(stored) * float64(s.WeeklySharePercent) / 100
	if float64(run.Bytes) >= weekly/7 && run.Bytes > 0 {
		return "", nil
	}
	for window, most := range map[time.Duration]float64{week: weekly, week * 100 / time.Duration(s.WeeklySharePercent): float64(stored)} {
		read, err := q.q.ScrubbedSince(ctx, dbgen.ScrubbedSinceParams{StorageLocationID: run.StorageLocationID, Since: time.Now().Add(-window)})
		if err != nil {
			return "", translate(op, err)
		}
		if float64(read) >= most && read > 0 {
			return "", nil
		}
	}
	oldest, err := q.q.OldestGenerations(ctx, dbgen.OldestGenerationsParams{
		StorageLocationID: run.StorageLocationID, Without: orEmpty(without), Before: run.StartedAt, PageSize: 1,
	})
	if err != nil || len(oldest) == 0 {
		return "", translate(op, err)
	}
	return oldest[0].Generation, nil
}
