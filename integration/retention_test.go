package integration

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// keepEverything is the policy of jobs whose tests count backups.
var keepEverything = &domain.RetentionPolicy{}

// retained waits until a run of the job's retention after the given time has been recorded.
func retained(t *testing.T, jobID string, after time.Time) domain.RetentionResult {
	t.Helper()
	var last *domain.RetentionResult
	require.Eventually(t, func() bool {
		job, err := shared.owner.BackupJobs.Get(t.Context(), jobID)
		require.NoError(t, err)
		last = job.LastRetention
		return last != nil && last.At.After(after)
	}, patience, 50*time.Millisecond)
	return *last
}

func TestOldBackupsGoByPolicyAndWhatStaysIsWhole(t *testing.T) {
	s := newSetup(t, withRows(200), withOptions(domain.BackupOptions{BackupType: domain.Incremental, FullEvery: 100}))
	_, err := shared.owner.BackupJobs.Update(t.Context(), s.job.ID, map[string]any{"retention_policy": map[string]any{"max_backups": 2, "auto_delete": true}})
	require.NoError(t, err)
	var backups []client.Execution
	var last domain.RetentionResult
	for range 3 {
		before := time.Now()
		backup := s.backUp(t)
		require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
		backups = append(backups, backup)
		last = retained(t, s.job.ID, before)
	}
	require.Equal(t, 1, last.Removed)
	require.Equal(t, 2, last.Kept)
	_, err = shared.owner.GetExecution(t.Context(), backups[0].ID)
	require.Equal(t, http.StatusNotFound, client.Status(err))
	require.Equal(t, "full", string(backups[0].BackupType), "the increments built on the one that went")
	s.requireRestores(t, backups[1], s.database, "_second")
	s.requireRestores(t, backups[2], s.database, "_third")
	require.Equal(t, 1, dbtest.Count(t, shared.catalogue,
		`SELECT count(*) FROM notifications WHERE type = 'cleanup_completed' AND entity_id = $1`, s.job.ID))

	preview, err := shared.owner.PreviewRetention(t.Context(), s.job.ID, &domain.RetentionPolicy{MaxBackups: 1})
	require.NoError(t, err)
	require.Equal(t, 1, preview.Removed)
	require.Equal(t, backups[1].ID, preview.Backups[1].ExecutionID)
}
