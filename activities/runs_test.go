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

// A sync that is cancelled when it has made the row of its restore, and not yet started it: left queued, it would keep all others
// from the target.
func TestARunThatEndsLeavesNothingQueued(t *testing.T) {
	for name, c := range map[string]struct {
		kind            db.RunKind
		backup, restore domain.ExecutionStatus // before
		after           [2]domain.ExecutionStatus
	}{
		"a sync whose restore was not started":        {kind: db.RunSync, backup: domain.Completed, restore: domain.Queued, after: [2]domain.ExecutionStatus{domain.Completed, domain.Cancelled}},
		"a sync whose backup was not started":         {kind: db.RunSync, backup: domain.Queued, after: [2]domain.ExecutionStatus{domain.Cancelled}},
		"a sync whose restore ended":                  {kind: db.RunSync, backup: domain.Completed, restore: domain.Failed, after: [2]domain.ExecutionStatus{domain.Completed, domain.Failed}},
		"a drill whose restore was not started":       {kind: db.RunDrill, backup: domain.Completed, restore: domain.Queued, after: [2]domain.ExecutionStatus{domain.Completed, domain.Cancelled}},
		"a drill is not what its backup is a part of": {kind: db.RunDrill, backup: domain.Queued, after: [2]domain.ExecutionStatus{domain.Queued}},
	} {
		t.Run(name, func(t *testing.T) {
			d := dbtest.Open(t, dbtest.URL(t))
			ctx := t.Context()
			datasource, err := d.CreateDatasource(ctx, db.Datasource{Name: "into", Type: domain.Postgres, Enabled: true})
			require.NoError(t, err)
			part := func(status domain.ExecutionStatus, operation domain.Operation) *string {
				e, err := d.CreateExecution(ctx, db.Execution{DatasourceID: &datasource.ID, Metadata: domain.ExecutionMetadata{Operation: operation, Trigger: domain.TriggerSync}})
				require.NoError(t, err)
				if status != domain.Queued {
					require.NoError(t, d.FinishExecution(ctx, e.ID, db.Finish{Status: status}))
				}
				return &e.ID
			}
			parts := []*string{part(c.backup, domain.OperationBackup)}
			job := jobOf(t, d, c.kind, datasource.ID)
			run, err := d.CreateRun(ctx, c.kind, db.Run{JobID: &job, BackupExecutionID: parts[0]})
			require.NoError(t, err)
			if c.restore != "" {
				parts = append(parts, part(c.restore, domain.OperationRestore))
				require.NoError(t, d.LinkRun(ctx, c.kind, run.ID, nil, parts[1]))
			}
			acts := activities.New(activities.Options{DB: d, Logger: slog.New(slog.DiscardHandler)})
			in := contract.FinishRunInput{FinishInput: contract.FinishInput{ExecutionID: run.ID, Status: domain.Cancelled, Message: "cancelled on request"}}
			if c.kind == db.RunSync {
				_, err = acts.FinishSync(ctx, in)
			} else {
				_, err = acts.FinishDrill(ctx, in)
			}
			require.NoError(t, err)
			for i, id := range parts {
				e, err := d.GetExecution(ctx, *id)
				require.NoError(t, err)
				require.Equal(t, c.after[i], e.Status)
				if e.Status == domain.Cancelled {
					require.Contains(t, e.ErrorMessage, "ended before it began")
				}
			}
		})
	}
}

// jobOf makes a job whose runs are of a kind, and write the datasource.
func jobOf(t *testing.T, d *db.DB, kind db.RunKind, into string) string {
	t.Helper()
	from, err := d.CreateDatasource(t.Context(), db.Datasource{Name: "from", Type: domain.Postgres, Enabled: true})
	require.NoError(t, err)
	if kind == db.RunDrill {
		job, err := d.CreateDrillJob(t.Context(), db.DrillJob{Name: "prove", DatasourceID: from.ID, TargetDatasourceID: into, MaxBackupAgeHours: 24, Enabled: true})
		require.NoError(t, err)
		return job.ID
	}
	job, err := d.CreateSyncJob(t.Context(), db.SyncJob{
		Name: "refresh", SourceDatasourceID: from.ID, TargetDatasourceID: into, OverwriteDirection: domain.SourceToTarget, Enabled: true,
	})
	require.NoError(t, err)
	return job.ID
}
