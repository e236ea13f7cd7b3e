package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// expiring are the backups that retention deletes after the next run of the job that a backup is of.
func expiring(ctx context.Context, q *db.Queries, backup db.Execution) ([]string, error) {
	ctx = db.Unscoped(ctx) // only how many is shown
	if backup.Metadata.Trigger == domain.TriggerSync {
		return expiringOfSync(ctx, q, backup.ID)
	}
	if backup.JobID == nil {
		return nil, nil
	}
	job, err := q.GetBackupJob(ctx, *backup.JobID)
	if err != nil || !job.RetentionPolicy.AutoDelete {
		return nil, err
	}
	verdicts, err := applyRetention(ctx, q, job, func(b *domain.KeptBackup) { b.Held = "" }) // what reads it ends by itself
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, v := range verdicts {
		if !v.Keep {
			ids = append(ids, v.ID)
		}
	}
	return ids, nil
}

func expiringOfSync(ctx context.Context, q *db.Queries, backupID string) ([]string, error) {
	id, err := q.SyncJobOfBackup(ctx, backupID)
	if err != nil || id == "" {
		return nil, err
	}
	job, err := q.GetSyncJob(ctx, id)
	if err != nil {
		if errors.Is(err, db.ErrNotFound) {
			return nil, nil
		}
		return nil, err
	}
	backups, err := q.SyncBackups(ctx, id)
	return job.RetentionPolicy.BeyondCount(backups), err
}

// approveUnpinned uses up the approval of taking away what protected a backup from retention, where that is deleted then: as
// deleting it would be. goes are those that would have gone with the pin.
func approveUnpinned(ctx context.Context, q *db.Queries, id string, backup db.Execution, goes []string, changes map[string]any) error {
	if backup.Pinned {
		return nil
	}
	now, err := expiring(ctx, q, backup)
	if err != nil {
		return err
	}
	if more := without(now, goes); len(more) == 0 {
		return nil
	}
	return approved(ctx, q, id, irreversible{
		action: domain.ApproveDeleteBackup, permission: auth.ExecutionsControl, resource: "execution", resourceID: backup.ID,
		summary: fmt.Sprintf("Unpin the backup made at %s, which retention then deletes", backup.CreatedAt.UTC().Format(time.RFC3339)),
		request: map[string]any{"pinned": false},
	}, changes)
}

// without are those of all that are not among these.
func without(all, these []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(id string) bool { return slices.Contains(these, id) })
}
