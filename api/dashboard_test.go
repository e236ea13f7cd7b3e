package api

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestTheDashboardTellsWhatHappened(t *testing.T) {
	f := signedIn(t)
	f.starts()
	job, datasource, storage := f.job("orders")
	good := f.completed(job, datasource, storage)
	dbtest.Execute(t, f.url, `UPDATE backup_executions SET size_bytes = 1000, compressed_size_bytes = 400 WHERE id = $1`, good)
	failed := f.call("POST", "/api/backup-jobs/"+job+"/run", nil).ok(202).get("id").(string)
	require.NoError(t, f.db.FinishExecution(context.Background(), failed, db.Finish{Status: domain.Failed, ErrorMessage: "it broke"}))
	running := f.call("POST", "/api/backup-jobs/"+job+"/run", nil).ok(202).get("id").(string)
	dbtest.Execute(t, f.url, `UPDATE datasources SET status = 'critical'`)
	dbtest.Execute(t, f.url, `UPDATE backup_jobs SET schedule_cron = '0 3 * * *', schedule_since = now() - interval '10 days'`)
	dbtest.Execute(t, f.url, `UPDATE backup_executions SET finished_at = now() - interval '3 days' WHERE id = $1`, good)

	view := f.call("GET", "/api/dashboard/overview", nil).ok(200)
	totals := view.get("totals").(object)
	require.Equal(t, object{"datasources": 1.0, "enabled_datasources": 1.0, "storage_locations": 1.0, "enabled_storage_locations": 1.0,
		"backup_jobs": 1.0, "enabled_backup_jobs": 1.0, "backups": 1.0, "stored_bytes": 400.0}, totals)
	require.InDelta(t, 0.5, view.get("success_rate"), 1e-9)
	days := view.get("days").([]any)
	require.Len(t, days, dashboardDays)
	require.Equal(t, 1.0, days[dashboardDays-1].(object)["failed"])
	require.Equal(t, 1000.0, days[dashboardDays-4].(object)["size_bytes"])
	require.Equal(t, running, view.get("running").([]any)[0].(object)["id"])
	require.Equal(t, failed, view.get("last_failures").([]any)[0].(object)["id"])
	require.Equal(t, job, view.get("next_runs").([]any)[0].(object)["job_id"])
	overdue := view.get("overdue_jobs").([]any)
	require.Len(t, overdue, 1, "the last good backup is three days old, and the schedule is daily")
	require.Equal(t, job, overdue[0].(object)["id"])
	require.Equal(t, 1.0, view.get("datasource_health", "counts", "critical"))
	require.Equal(t, 400.0, view.get("storage").([]any)[0].(object)["stored_bytes"])
	f.as(auth.ExecutionsRead).call("GET", "/api/dashboard/overview", nil).problem(http.StatusForbidden)
}

func TestTheAgendaOfJobs(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(ago time.Duration) *time.Time { when := now.Add(-ago); return &when }
	next, overdue := agenda([]db.ScheduledJob{
		{ID: "daily", Cron: "0 3 * * *", TimeZone: "UTC", Since: now.AddDate(0, -1, 0), LastCompletedAt: at(33 * time.Hour)},
		{ID: "hourly", Cron: "0 * * * *", TimeZone: "UTC", Since: now.AddDate(0, -1, 0), LastCompletedAt: at(121 * time.Minute)},
		{ID: "new", Cron: "0 3 * * *", TimeZone: "UTC", Since: now.Add(-time.Hour)},
		{ID: "never", Cron: "0 3 * * *", TimeZone: "UTC", Since: now.AddDate(0, 0, -3)},
		{ID: "broken", Cron: "nonsense", TimeZone: "UTC", Since: now.AddDate(0, 0, -3)},
	}, []db.OtherSchedule{
		{Kind: db.RunSync, ID: "copies", Cron: "30 * * * *", TimeZone: "UTC"},
		{Kind: db.RunDrill, ID: "proves", Cron: "45 * * * *", TimeZone: "UTC"},
		{Kind: db.RunDrill, ID: "broken too", Cron: "nonsense", TimeZone: "UTC"},
	}, now)
	require.Len(t, next, 6)
	require.Equal(t, NextRun{Kind: "sync", JobID: "copies", At: next[0].At}, next[0])
	require.Equal(t, NextRun{Kind: "drill", JobID: "proves", At: next[1].At}, next[1])
	require.Equal(t, NextRun{Kind: "backup", JobID: "hourly", At: next[2].At}, next[2])
	require.Equal(t, now.Add(time.Hour), next[2].At.UTC())
	var ids []string
	for _, job := range overdue {
		ids = append(ids, job.ID)
	}
	require.Equal(t, []string{"never", "hourly"}, ids)
}

func TestAFailedBackupIsMadeAgainAsItWasAsked(t *testing.T) {
	f := signedIn(t)
	f.starts()
	job, datasource, storage := f.job("orders")
	path := "/api/backup-jobs/" + job + "/run"
	failed := f.call("POST", path, object{"backup_options": object{"compression": "gzip"}}).ok(202).get("id").(string)
	f.call("POST", "/api/executions/"+failed+"/retry", nil).problem(http.StatusConflict)
	require.NoError(t, f.db.FinishExecution(context.Background(), failed, db.Finish{Status: domain.Failed}))
	again := f.call("POST", "/api/executions/"+failed+"/retry", nil).ok(202)
	require.NotEqual(t, failed, again.get("id"))
	require.Equal(t, "retry", again.get("metadata", "trigger"))
	require.Equal(t, "gzip", again.get("metadata", "options", "compression"))
	require.Len(t, f.audits("execution.retry"), 1)
	f.finish(again.get("id").(string))
	f.call("POST", "/api/executions/"+f.completed(job, datasource, storage)+"/retry", nil).problem(http.StatusConflict)
	f.as(auth.ExecutionsRead).call("POST", "/api/executions/"+failed+"/retry", nil).problem(http.StatusForbidden)
}
