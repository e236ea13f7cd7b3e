package integration

import (
	"context"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// needing is what requests that need Temporal are about.
type needing struct {
	job    client.BackupJob // has a completed backup
	others []client.BackupJob
	syncs  []client.SyncJob
	drills []client.DrillJob
}

// needTemporal makes jobs of each kind: one to be changed, one to be disabled, one to be deleted and one to be run.
func (i *island) needTemporal(job client.BackupJob) needing {
	i.t.Helper()
	n := needing{job: job}
	target, err := i.owner.Datasources.Create(i.t.Context(), client.DatasourceDocument{
		Name: "target", Type: domain.Files, Pool: i.pool, ConnectionConfig: domain.ConnectionConfig{SourcePath: filepath.Join(i.t.TempDir(), "target")},
	})
	require.NoError(i.t, err)
	for _, name := range []string{"changed", "disabled", "deleted", "by hand"} {
		n.others = append(n.others, i.filesJob(name, 1000, client.BackupJobDocument{ScheduleCron: "0 4 1 1 *"}))
		sync, err := i.owner.SyncJobs().Create(i.t.Context(), client.SyncJobDocument{
			Name: name, SourceDatasourceID: job.DatasourceID, TargetDatasourceID: target.ID, StorageLocationID: job.StorageLocationID,
			ScheduleCron: "0 4 1 1 *", DropExisting: true, ConfirmationPhrase: client.ConfirmRestore(target.Name),
		})
		require.NoError(i.t, err)
		n.syncs = append(n.syncs, sync)
		drill, err := i.owner.DrillJobs().Create(i.t.Context(), client.DrillJobDocument{Name: name, DatasourceID: job.DatasourceID, ScheduleCron: "0 4 1 1 *"})
		require.NoError(i.t, err)
		n.drills = append(n.drills, drill)
	}
	return n
}

// asks are the requests that need Temporal.
func (i *island) asks(n needing, backup client.Execution) map[string]func(context.Context) error {
	target := n.syncs[0].TargetDatasourceID
	asks := map[string]func(context.Context) error{
		"run a job": func(ctx context.Context) error { _, err := i.owner.RunJob(ctx, n.others[3].ID, nil); return err },
		"restore": func(ctx context.Context) error {
			_, err := i.owner.Restore(ctx, backup.ID, client.RestoreRequest{
				TargetDatasourceID: n.job.DatasourceID, VerificationMode: true, ConfirmationPhrase: client.ConfirmVerify,
			})
			return err
		},
		"run a sync":  func(ctx context.Context) error { _, err := i.owner.SyncRuns().Start(ctx, n.syncs[3].ID); return err },
		"run a drill": func(ctx context.Context) error { _, err := i.owner.DrillRuns().Start(ctx, n.drills[3].ID); return err },
		"make a job": func(ctx context.Context) error {
			_, err := i.owner.BackupJobs.Create(ctx, client.BackupJobDocument{
				Name: "another", DatasourceID: n.job.DatasourceID, StorageLocationID: n.job.StorageLocationID, ScheduleCron: "@daily",
			})
			return err
		},
		"make a sync job": func(ctx context.Context) error {
			_, err := i.owner.SyncJobs().Create(ctx, client.SyncJobDocument{
				Name: "another", SourceDatasourceID: n.job.DatasourceID, TargetDatasourceID: target, StorageLocationID: n.job.StorageLocationID,
				ScheduleCron: "@daily", DropExisting: true, ConfirmationPhrase: client.ConfirmRestore("target"),
			})
			return err
		},
		"make a drill job": func(ctx context.Context) error {
			_, err := i.owner.DrillJobs().Create(ctx, client.DrillJobDocument{Name: "another", DatasourceID: n.job.DatasourceID, ScheduleCron: "@daily"})
			return err
		},
		"test a datasource": func(ctx context.Context) error { _, err := i.owner.TestDatasource(ctx, n.job.DatasourceID); return err },
	}
	addEdits(asks, "job", i.owner.BackupJobs, n.others[0].ID, n.others[1].ID, n.others[2].ID)
	addEdits(asks, "sync job", i.owner.SyncJobs(), n.syncs[0].ID, n.syncs[1].ID, n.syncs[2].ID)
	addEdits(asks, "drill job", i.owner.DrillJobs(), n.drills[0].ID, n.drills[1].ID, n.drills[2].ID)
	return asks
}

func addEdits[D, T any](asks map[string]func(context.Context) error, kind string, jobs client.Resource[D, T], changed, disabled, deleted string) {
	patch := func(id string, fields map[string]any) func(context.Context) error {
		return func(ctx context.Context) error { _, err := jobs.Update(ctx, id, fields); return err }
	}
	asks["change the cron of a "+kind] = patch(changed, map[string]any{"schedule_cron": "@daily"})
	asks["disable a "+kind] = patch(disabled, map[string]any{"enabled": false})
	asks["delete a "+kind] = func(ctx context.Context) error { return jobs.Delete(ctx, deleted) }
}

// requireRefused asks for what needs Temporal, all at once because each waits for it, and looks that nothing has changed: no job is
// another one, nothing was run, and nobody is told of anything.
func (i *island) requireRefused(n needing, backup client.Execution) {
	i.t.Helper()
	before := i.everything(n)
	var asking sync.WaitGroup
	for what, ask := range i.asks(n, backup) {
		asking.Go(func() {
			err := ask(i.t.Context())
			assert.Equal(i.t, http.StatusServiceUnavailable, client.Status(err), "%s: %v", what, err)
		})
	}
	asking.Wait()
	require.Equal(i.t, before, i.everything(n))
}

// everything is what requests could have changed; of the job that runs often, which goes on, only that it is there.
func (i *island) everything(n needing) map[string]any {
	i.t.Helper()
	ctx, out := i.t.Context(), map[string]any{}
	jobs, err := i.owner.BackupJobs.List(ctx)
	require.NoError(i.t, err)
	for k := range jobs {
		jobs[k].NextExecutionAt = nil
	}
	out["backup jobs"] = jobs
	out["sync jobs"], err = i.owner.SyncJobs().List(ctx)
	require.NoError(i.t, err)
	out["drill jobs"], err = i.owner.DrillJobs().List(ctx)
	require.NoError(i.t, err)
	executions, err := i.owner.ListExecutions(ctx, client.ExecutionFilter{})
	require.NoError(i.t, err)
	var ids []string
	for _, e := range executions {
		if e.JobID == nil || *e.JobID != n.job.ID {
			ids = append(ids, e.ID)
		}
	}
	require.Empty(i.t, ids, "nothing else was run")
	for kind, runs := range map[string]client.Runs{"syncs": i.owner.SyncRuns(), "drills": i.owner.DrillRuns()} {
		list, err := runs.List(ctx, "")
		require.NoError(i.t, err)
		require.Empty(i.t, list, kind)
	}
	out["told"] = i.toldOf(i.t, `type::text LIKE '%failed'`)
	return out
}
