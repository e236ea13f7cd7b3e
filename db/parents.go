package db

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// NoParent says why an incremental or differential backup has nothing to build on.
type NoParent string

// The reasons that the catalogue knows; there are more on the storage location.
const (
	NoParentYet       NoParent = "none yet"
	NoParentHere      NoParent = "elsewhere"
	NoParentGood      NoParent = "none good"
	NoParentDamaged   NoParent = "damaged"
	NoParentFullEvery NoParent = "full every"
)

// lockTries is how often ClaimParent chooses again after the one it chose went away meanwhile.
const lockTries = 10

// ClaimParent chooses what an incremental or differential backup builds on, and stores its choice with
// the generation: the latest good backup of the same job, datasource and storage location, for a
// differential the latest good full. From then on the parent is pinned, until the backup ends. It
// returns "" and no reason when a parent is claimed, also when it had been before. Only the attempt
// that holds the dump may claim; errors as ClaimDump.
func (q *Queries) ClaimParent(ctx context.Context, id string, attempt int32, fullEvery int) (reason NoParent, err error) {
	op := "choose what execution " + id + " builds on"
	if err := checkID(op, id); err != nil {
		return "", err
	}
	err = q.inTx(ctx, func(q *Queries) error {
		reason = ""
		e, err := q.GetExecution(ctx, id)
		if err != nil || e.ParentExecutionID != nil {
			return err
		}
		if e.JobID == nil || e.DatasourceID == nil || e.StorageLocationID == nil || e.BackupType == domain.Full {
			reason = NoParentYet
			return nil
		}
		parent, err := q.lockParent(ctx, op, e)
		if errors.Is(err, pgx.ErrNoRows) {
			reason, err = q.whyNoParent(ctx, op, e)
			return err
		}
		if err != nil {
			return err
		}
		reason, err = q.claim(ctx, op, e, parent, attempt, fullEvery)
		return err
	})
	return reason, err
}

// lockParent finds the parent and locks its row, so that it can not be marked for deletion before it
// is claimed. pgx.ErrNoRows when there is none.
func (q *Queries) lockParent(ctx context.Context, op string, e Execution) (dbgen.LockParentRow, error) {
	for range lockTries {
		found, err := q.q.FindParent(ctx, dbgen.FindParentParams{
			JobID: e.JobID, DatasourceID: e.DatasourceID, StorageLocationID: e.StorageLocationID,
			OnlyFull: e.BackupType == domain.Differential,
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return dbgen.LockParentRow{}, err
		}
		if err != nil {
			return dbgen.LockParentRow{}, translate(op, err)
		}
		parent, err := q.q.LockParent(ctx, found)
		if errors.Is(err, pgx.ErrNoRows) {
			continue // its deletion has just begun
		}
		return parent, translate(op, err)
	}
	return dbgen.LockParentRow{}, failure.New(failure.Unknown, op, "the backups it could build on are being deleted", "Try again.")
}

func (q *Queries) whyNoParent(ctx context.Context, op string, e Execution) (NoParent, error) {
	here, err := q.q.CompletedBackupHere(ctx, dbgen.CompletedBackupHereParams{
		JobID: e.JobID, DatasourceID: e.DatasourceID, StorageLocationID: e.StorageLocationID,
	})
	if err != nil || here {
		return NoParentGood, translate(op, err)
	}
	elsewhere, err := q.q.CompletedBackupElsewhere(ctx, dbgen.CompletedBackupElsewhereParams{
		JobID: e.JobID, DatasourceID: e.DatasourceID, StorageLocationID: e.StorageLocationID,
	})
	if err != nil || elsewhere {
		return NoParentHere, translate(op, err)
	}
	return NoParentYet, nil
}

func (q *Queries) claim(ctx context.Context, op string, e Execution, parent dbgen.LockParentRow, attempt int32, fullEvery int) (NoParent, error) {
	state, err := q.q.GenerationState(ctx, dbgen.GenerationStateParams{
		DatasourceID: e.DatasourceID, Generation: parent.Generation, StorageLocationID: e.StorageLocationID,
	})
	switch {
	case err != nil:
		return "", translate(op, err)
	case state.Damaged:
		return NoParentDamaged, nil
	case int(state.Increments) >= fullEvery:
		return NoParentFullEvery, nil
	}
	n, err := q.q.SetParent(ctx, dbgen.SetParentParams{
		ID: e.ID, Attempt: attempt, ParentID: &parent.ID, Generation: parent.Generation, IncrementNumber: state.Increments + 1,
	})
	if err != nil || n > 0 {
		return "", translate(op, err)
	}
	return "", q.checkHolder(ctx, op, e.ID, attempt)
}

// MakeFull makes a full of a backup that was to build on another one, and records why, as a warning
// too when people should look into it. Only the attempt that holds the dump may; errors as ClaimDump.
func (q *Queries) MakeFull(ctx context.Context, id string, attempt int32, reason string, warn bool) error {
	op := "make execution " + id + " a full backup"
	if err := checkID(op, id); err != nil {
		return err
	}
	part := map[string]any{"full_reason": reason}
	if warn {
		part["warnings"] = []string{reason}
	}
	document, err := json.Marshal(part)
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	n, err := q.q.MakeFull(ctx, dbgen.MakeFullParams{ID: id, Attempt: attempt, Generation: domain.ID8(id), Part: document})
	if err != nil || n > 0 {
		return translate(op, err)
	}
	return q.checkHolder(ctx, op, id, attempt)
}
