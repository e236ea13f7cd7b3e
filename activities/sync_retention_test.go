package activities_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Of five backups in between, 0 the oldest, only those go that the job's policy does not keep.
func TestTheBackupsInBetweenOfASyncThatExpire(t *testing.T) {
	for name, c := range map[string]struct {
		policy  domain.RetentionPolicy
		pinned  []int
		expired []int // the newest first
	}{
		"the default keeps the last":                {policy: domain.SyncRetention(), expired: []int{3, 2, 1, 0}},
		"two are kept":                              {policy: domain.RetentionPolicy{MaxBackups: 2, AutoDelete: true}, expired: []int{2, 1, 0}},
		"more than there are":                       {policy: domain.RetentionPolicy{MaxBackups: 6, AutoDelete: true}},
		"0 keeps all":                               {policy: domain.RetentionPolicy{AutoDelete: true}},
		"without auto_delete all are kept":          {policy: domain.RetentionPolicy{MaxBackups: 2}},
		"a pinned one stays and is none of the two": {policy: domain.RetentionPolicy{MaxBackups: 2, AutoDelete: true}, pinned: []int{1, 4}, expired: []int{0}},
	} {
		t.Run(name, func(t *testing.T) {
			d := dbtest.Open(t, dbtest.URL(t))
			ctx := t.Context()
			from, err := d.CreateDatasource(ctx, db.Datasource{Name: "from", Type: domain.Postgres, Enabled: true})
			require.NoError(t, err)
			into, err := d.CreateDatasource(ctx, db.Datasource{Name: "into", Type: domain.Postgres, Enabled: true})
			require.NoError(t, err)
			storage, err := d.CreateStorageLocation(ctx, db.StorageLocation{Name: "disk", Type: domain.StorageLocal, Enabled: true, Config: domain.StorageConfig{Path: "/disk"}})
			require.NoError(t, err)
			job, err := d.CreateSyncJob(ctx, db.SyncJob{
				Name: "staging", SourceDatasourceID: from.ID, TargetDatasourceID: into.ID, StorageLocationID: &storage.ID,
				OverwriteDirection: domain.SourceToTarget, Enabled: true, RetentionPolicy: c.policy,
			})
			require.NoError(t, err)
			var backups []string
			var last db.Run
			for range 5 {
				backup, err := d.CreateExecution(ctx, db.Execution{
					DatasourceID: &from.ID, StorageLocationID: &storage.ID,
					Metadata: domain.ExecutionMetadata{Operation: domain.OperationBackup, Trigger: domain.TriggerSync},
				})
				require.NoError(t, err)
				require.NoError(t, d.FinishExecution(ctx, backup.ID, db.Finish{Status: domain.Completed}))
				last, err = d.CreateRun(ctx, db.RunSync, db.Run{JobID: &job.ID, BackupExecutionID: &backup.ID})
				require.NoError(t, err)
				_, err = d.FinishRun(ctx, db.RunSync, last.ID, db.Finish{Status: domain.Completed}, 0, "")
				require.NoError(t, err)
				backups = append(backups, backup.ID)
			}
			for _, n := range c.pinned {
				require.NoError(t, d.SetPinned(ctx, backups[n], true))
			}
			acts := activities.New(activities.Options{DB: d, Logger: slog.New(slog.DiscardHandler)})
			found, err := acts.ExpireSyncBackups(ctx, contract.RunRef{RunID: last.ID})
			require.NoError(t, err)
			var want []string
			for _, n := range c.expired {
				want = append(want, backups[n])
			}
			require.ElementsMatch(t, want, found.Backups)
		})
	}
}
