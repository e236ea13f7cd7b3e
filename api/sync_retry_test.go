package api

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestARetryOfASyncTakesTheBackupOnlyIfItHoldsWhatTheJobCopiesNow(t *testing.T) {
	f := signedIn(t)
	job, datasource, storage := f.job("orders")
	backup := f.completed(job, datasource, storage)
	plan := func(exclude ...string) domain.SyncPlan {
		return domain.SyncPlan{FromDatasourceID: datasource, StorageLocationID: storage, BackupOptions: &domain.BackupOptions{ExcludeTables: exclude}}
	}
	before := plan("sessions")
	failed := db.Run{BackupExecutionID: &backup, Metadata: domain.RunMetadata{Sync: &before}}

	reused, err := f.server.reusableBackup(t.Context(), failed, plan("sessions"))
	require.NoError(t, err)
	require.Equal(t, &backup, reused)
	reused, err = f.server.reusableBackup(t.Context(), failed, plan("sessions", "salaries"))
	require.NoError(t, err)
	require.Nil(t, reused, "the salaries are in it")

	withoutRows := plan("sessions")
	withoutRows.BackupOptions.ExtraArgs = []string{"--exclude-table-data=salaries"}
	reused, err = f.server.reusableBackup(t.Context(), failed, withoutRows)
	require.NoError(t, err)
	require.Nil(t, reused, "the rows of salaries are in it")
}
