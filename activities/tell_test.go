package activities_test

import (
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify"
)

// What people are told of a sync and of a drill has the ids, names, links and the advice that what they are told of a
// backup has.
func TestSyncsAndDrillsAreToldWithWhatTheyAreAbout(t *testing.T) {
	d := dbtest.New(t)
	datasource := func(name string) string {
		row, err := d.CreateDatasource(t.Context(), db.Datasource{
			Name: name, Type: domain.Postgres, Enabled: true, Pool: domain.DefaultPool, Config: domain.ConnectionConfig{Host: "db.example", Port: 5432, Database: name, Username: "app"},
		})
		require.NoError(t, err)
		return row.ID
	}
	production, staging := datasource("production"), datasource("staging")
	location, err := d.CreateStorageLocation(t.Context(), db.StorageLocation{
		Name: "offsite", Type: domain.StorageLocal, Enabled: true, Pool: domain.DefaultPool, Config: domain.StorageConfig{Path: "/srv/backups"},
	})
	require.NoError(t, err)
	sync, err := d.CreateSyncJob(t.Context(), db.SyncJob{
		Name: "refresh", SourceDatasourceID: production, TargetDatasourceID: staging, StorageLocationID: &location.ID,
		OverwriteDirection: domain.SourceToTarget, Enabled: true,
	})
	require.NoError(t, err)
	drill, err := d.CreateDrillJob(t.Context(), db.DrillJob{Name: "prove", DatasourceID: production, TargetDatasourceID: staging, MaxBackupAgeHours: 24, Enabled: true})
	require.NoError(t, err)
	plan := sync.Plan()
	begun := func(kind db.RunKind, jobID string, metadata domain.RunMetadata) string {
		metadata.Trigger = domain.TriggerSchedule
		run, err := d.CreateRun(t.Context(), kind, db.Run{JobID: &jobID, Metadata: metadata})
		require.NoError(t, err)
		_, err = d.BeginRun(t.Context(), kind, run.ID, "workflow-1", "run-1", "https://temporal.example.com/run-1")
		require.NoError(t, err)
		return run.ID
	}
	acts := activities.New(activities.Options{DB: d, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	contract.FinishSync.Register(env, acts.FinishSync)
	contract.FinishDrill.Register(env, acts.FinishDrill)

	for name, c := range map[string]struct {
		activity string
		kind     domain.NotificationType
		run      string
		path     string
		has      map[string]any
	}{
		"a sync": {
			contract.FinishSync.Name, domain.NotifySyncFailed, begun(db.RunSync, sync.ID, domain.RunMetadata{Sync: &plan}), "/api/db-sync-executions/",
			map[string]any{"job": "refresh", "source": "production", "target": "staging", "storage": "offsite"},
		},
		"a drill": {
			contract.FinishDrill.Name, domain.NotifyRestoreDrillFailed, begun(db.RunDrill, drill.ID, domain.RunMetadata{}), "/api/restore-drill-executions/",
			map[string]any{"job": "prove", "datasource": "production", "target": "staging"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := contract.FinishRunInput{FinishInput: contract.FinishInput{
				ExecutionID: c.run, Status: domain.Failed, Message: "no route", FailureClass: "Unreachable", Hint: "Start it.",
			}}
			for range 2 { // it is told once
				_, err := env.ExecuteActivity(c.activity, in)
				require.NoError(t, err)
			}
			told, _, err := d.ListNotifications(t.Context(), db.NotificationFilter{ExecutionID: c.run}, db.Page{})
			require.NoError(t, err)
			require.Len(t, told, 1)
			require.Equal(t, c.kind, told[0].Type)
			for key, value := range c.has {
				require.Equal(t, value, told[0].Metadata[key], key)
			}
			e := notify.Event{Type: told[0].Type, Metadata: told[0].Metadata}.FromMetadata("https://backup.example.com/")
			require.Equal(t, "https://backup.example.com"+c.path+c.run, e.Link)
			require.Equal(t, "https://temporal.example.com/run-1", e.TemporalURL)
			require.Equal(t, "Start it.", e.Hint)
			require.Equal(t, "Unreachable", e.FailureClass)
			require.Equal(t, "schedule", e.Trigger)
			require.Equal(t, "failed", e.Status)
			require.Empty(t, e.Undocumented(), "templates for the type may show it")
		})
	}
}
