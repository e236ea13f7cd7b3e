package db

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Expiry is what one look of the retention at a job found and marked.
type Expiry struct {
	Job      BackupJob
	Verdicts []domain.RetentionVerdict // of all backups of the job, also those that were marked
	Marked   int                       // that are being deleted from now on
}

// ExpiredBackup is one that the retention marked and that is not removed yet.
type ExpiredBackup struct {
	ID         string
	Datasource string // name, "" when it is gone
	Storage    string // name, "" when it is gone
	Pool       string // whose workers reach it; "" when both are gone
}

// Decide says which of a job's backups stay, the newest first.
type Decide func(BackupJob, []domain.KeptBackup) []domain.RetentionVerdict

// RetentionBackups lists what a retention policy of the job looks at: its completed backups that are not
// being deleted.
func (q *Queries) RetentionBackups(ctx context.Context, jobID string) ([]domain.KeptBackup, error) {
	op := "list the backups of job " + jobID
	if err := checkID(op, jobID); err != nil {
		return nil, err
	}
	rows, err := q.q.RetentionBackups(ctx, jobID)
	if err != nil {
		return nil, translate(op, err)
	}
	return convert(rows, func(row dbgen.RetentionBackupsRow) (domain.KeptBackup, error) {
		return domain.KeptBackup{
			ID: row.ID, At: row.At, Good: row.Good, Pinned: row.Pinned, Held: row.Held, Stored: row.CompressedSizeBytes, Storage: row.Storage,
			Datasource: row.Datasource,
		}, nil
	})
}

// ExpireBackups decides over the backups of a job and marks the oldest of those that go, limit at most, as being deleted;
// none if the policy only reports. What came to be needed meanwhile stays. Errors: ErrNotFound.
func (d *DB) ExpireBackups(ctx context.Context, jobID string, limit int, decide Decide) (Expiry, error) {
	op := "apply the retention of job " + jobID
	if err := checkID(op, jobID); err != nil {
		return Expiry{}, err
	}
	var out Expiry
	err := d.InTx(ctx, func(q *Queries) error {
		out = Expiry{}
		if _, err := q.q.LockJobRetention(ctx, jobID); err != nil {
			return translate(op, err)
		}
		var err error
		if out.Job, err = q.GetBackupJob(ctx, jobID); err != nil {
			return err
		}
		backups, err := q.RetentionBackups(ctx, jobID)
		if err != nil {
			return err
		}
		out.Verdicts = decide(out.Job, backups)
		if out.Job.RetentionPolicy.AutoDelete {
			out.Marked, err = q.markExpired(ctx, op, out.Verdicts, limit)
		}
		return err
	})
	return out, err
}

func (q *Queries) markExpired(ctx context.Context, op string, verdicts []domain.RetentionVerdict, limit int) (marked int, err error) {
	for i, v := range slices.Backward(verdicts) {
		if v.Keep || marked == limit {
			continue
		}
		err := q.CheckDeletable(ctx, v.ID)
		var held *InUseError
		switch {
		case errors.As(err, &held):
			verdicts[i].Keep, verdicts[i].Reasons = true, held.Holders
			continue
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return marked, err
		}
		if err := q.q.MarkExpired(ctx, dbgen.MarkExpiredParams{ID: v.ID, Reason: strings.Join(v.Reasons, "; ")}); err != nil {
			return marked, translate(op, err)
		}
		marked++
	}
	return marked, nil
}

// ListExpired returns what the retention of a job has marked and nobody has removed yet, the oldest first.
func (q *Queries) ListExpired(ctx context.Context, jobID string, limit int) ([]ExpiredBackup, error) {
	op := "list what the retention of job " + jobID + " removes"
	if err := checkID(op, jobID); err != nil {
		return nil, err
	}
	rows, err := q.q.ListExpired(ctx, dbgen.ListExpiredParams{JobID: jobID, PageSize: int32(limit)}) //nolint:gosec // a page
	if err != nil {
		return nil, translate(op, err)
	}
	return convert(rows, func(row dbgen.ListExpiredRow) (ExpiredBackup, error) { return ExpiredBackup(row), nil })
}

// RecordRetention stores what a run of a job's retention did, and tells people, once: again for the same run it does
// nothing. tell is nil when there is nothing to tell. A job that is gone is no error.
func (d *DB) RecordRetention(ctx context.Context, jobID, runID string, result domain.RetentionResult, tell *Notification) error {
	op := "record the retention of job " + jobID
	if err := checkID(op, jobID); err != nil {
		return err
	}
	document, err := json.Marshal(result)
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	return d.InTx(ctx, func(q *Queries) error {
		if _, err := q.q.LockJobRetention(ctx, jobID); err != nil {
			if err := translate(op, err); !errors.Is(err, ErrNotFound) {
				return err
			}
			return nil
		}
		n, err := q.q.PutRetentionResult(ctx, dbgen.PutRetentionResultParams{JobID: jobID, RunID: runID, Result: document})
		if err != nil || n == 0 || tell == nil {
			return translate(op, err)
		}
		return q.AddNotification(ctx, *tell)
	})
}

// RetentionResults reads what the last run of the retention of each of the jobs did; jobs that had none are left out.
func (q *Queries) RetentionResults(ctx context.Context, jobIDs []string) (map[string]domain.RetentionResult, error) {
	const op = "read the results of retention"
	rows, err := q.q.RetentionResults(ctx, jobIDs)
	if err != nil {
		return nil, translate(op, err)
	}
	results := map[string]domain.RetentionResult{}
	for _, row := range rows {
		var result domain.RetentionResult
		if err := json.Unmarshal(row.Result, &result); err != nil {
			return nil, failure.Wrap(failure.Corrupt, op, err, "")
		}
		results[row.JobID] = result
	}
	return results, nil
}
