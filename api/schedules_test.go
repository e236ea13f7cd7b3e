package api

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
)

// schedules stands in for Temporal's schedules; every call fails with down, if that is set.
type schedules struct {
	client.ScheduleClient
	down  error
	there map[string]client.ScheduleOptions
	calls int
}

func (f *fixture) schedules() *schedules {
	s := &schedules{there: map[string]client.ScheduleOptions{}}
	f.temporal.On("ScheduleClient").Return(s)
	return s
}

func (s *schedules) Create(_ context.Context, o client.ScheduleOptions) (client.ScheduleHandle, error) {
	s.calls++
	if s.down != nil {
		return nil, s.down
	}
	if _, exists := s.there[o.ID]; exists {
		return nil, temporal.ErrScheduleAlreadyRunning
	}
	s.there[o.ID] = o
	return nil, nil
}

func (s *schedules) GetHandle(_ context.Context, id string) client.ScheduleHandle {
	handle := &mocks.ScheduleHandle{}
	handle.On("Delete", mock.Anything).Return(func(context.Context) error {
		s.calls++
		if s.down == nil {
			delete(s.there, id)
		}
		return s.down
	})
	handle.On("Update", mock.Anything, mock.Anything).Return(func(_ context.Context, o client.ScheduleUpdateOptions) error {
		if s.down != nil {
			return s.down
		}
		had := s.there[id]
		update, err := o.DoUpdate(client.ScheduleUpdateInput{Description: client.ScheduleDescription{Schedule: client.Schedule{
			Action: had.Action, Spec: &had.Spec, Policy: &client.SchedulePolicies{Overlap: had.Overlap, CatchupWindow: had.CatchupWindow},
			State: &client.ScheduleState{Paused: had.Paused, Note: had.Note},
		}}})
		if err != nil {
			return err
		}
		had.Spec, had.Action, had.Paused, had.Note = *update.Schedule.Spec, update.Schedule.Action, update.Schedule.State.Paused, update.Schedule.State.Note
		had.Overlap = update.Schedule.Policy.Overlap
		s.there[id] = had
		return nil
	})
	return handle
}

func TestTheScheduleOfAJobIsMadeChangedAndRemovedWithIt(t *testing.T) {
	f := signedIn(t)
	s := f.schedules()
	_, datasource, storage := f.job("by hand")
	require.Zero(t, s.calls, "a job without a cron needs no schedule")

	job := f.call("POST", "/api/backup-jobs", object{
		"name": "nightly", "datasource_id": datasource, "storage_location_id": storage, "schedule_cron": " 30 2 * * * ", "schedule_timezone": "Europe/Berlin",
	}).ok(201)
	require.Equal(t, "30 2 * * *", job.get("schedule_cron"))
	require.Equal(t, "skip", job.get("overlap_policy"))
	next, err := time.Parse(time.RFC3339, job.get("next_execution_at").(string))
	require.NoError(t, err)
	require.WithinRange(t, next, time.Now(), time.Now().Add(25*time.Hour))
	id := job.get("id").(string)
	made := s.there[contract.BackupScheduleID(id)]
	require.Equal(t, "Back up by hand to by hand (job nightly)", made.Note)
	require.Equal(t, 300*time.Second, made.Spec.Jitter)
	require.Equal(t, 24*time.Hour, made.CatchupWindow)
	require.Equal(t, "dataguardian.default", made.Action.(*client.ScheduleWorkflowAction).TaskQueue)

	calls := s.calls
	f.call("PATCH", "/api/backup-jobs/"+id, object{"retention_policy": object{"max_backups": 7}}).ok(200)
	require.Equal(t, calls, s.calls, "what the schedule does not show is not told to Temporal")

	changed := f.call("PATCH", "/api/backup-jobs/"+id, object{"enabled": false}).ok(200)
	require.Nil(t, changed.get("next_execution_at"))
	require.True(t, s.there[contract.BackupScheduleID(id)].Paused)
	f.call("PATCH", "/api/backup-jobs/"+id, object{"enabled": true}).ok(200)
	require.False(t, s.there[contract.BackupScheduleID(id)].Paused)

	f.call("PATCH", "/api/backup-jobs/"+id, object{"schedule_cron": ""}).ok(200)
	require.Empty(t, s.there)
	f.call("PATCH", "/api/backup-jobs/"+id, object{"schedule_cron": "@daily"}).ok(200)
	require.Len(t, s.there, 1)
	f.call("DELETE", "/api/backup-jobs/"+id, nil).ok(204)
	require.Empty(t, s.there)
}

func TestWithoutTemporalNothingOfAScheduledJobIsChanged(t *testing.T) {
	f := signedIn(t)
	s := f.schedules()
	manual, datasource, storage := f.job("orders")
	body := object{"name": "nightly", "datasource_id": datasource, "storage_location_id": storage, "schedule_cron": "@daily"}
	id := f.call("POST", "/api/backup-jobs", body).ok(201).get("id").(string)
	before := f.call("GET", "/api/backup-jobs", nil).ok(200).text
	audited := len(f.audits("backup_job.create")) + len(f.audits("backup_job.update")) + len(f.audits("backup_job.delete"))

	s.down = serviceerror.NewUnavailable("no connection")
	for name, call := range map[string]func() reply{
		"create":          func() reply { body["name"] = "another"; return f.call("POST", "/api/backup-jobs", body) },
		"change the cron": func() reply { return f.call("PATCH", "/api/backup-jobs/"+id, object{"schedule_cron": "@hourly"}) },
		"disable":         func() reply { return f.call("PATCH", "/api/backup-jobs/"+id, object{"enabled": false}) },
		"delete":          func() reply { return f.call("DELETE", "/api/backup-jobs/"+id, nil) },
		"give it a cron":  func() reply { return f.call("PATCH", "/api/backup-jobs/"+manual, object{"schedule_cron": "@hourly"}) },
		"take its cron":   func() reply { return f.call("PATCH", "/api/backup-jobs/"+id, object{"schedule_cron": ""}) },
	} {
		answer := call()
		require.Equal(t, http.StatusServiceUnavailable, answer.status, "%s: %s", name, answer.text)
		require.Contains(t, answer.text, "Check that the Temporal server is running", name)
		require.Equal(t, "application/problem+json", answer.header.Get("Content-Type"), name)
	}
	require.Equal(t, before, f.call("GET", "/api/backup-jobs", nil).ok(200).text)
	require.Equal(t, audited, len(f.audits("backup_job.create"))+len(f.audits("backup_job.update"))+len(f.audits("backup_job.delete")))
	f.call("PATCH", "/api/backup-jobs/"+id, object{"retention_policy": object{"max_backups": 9}}).ok(200)
	f.call("PATCH", "/api/backup-jobs/"+manual, object{"name": "renamed"}).ok(200)
}

func TestAScheduleIsPreviewedInItsTimeZone(t *testing.T) {
	f := signedIn(t)
	answer := f.call("GET", "/api/schedules/preview?cron=30+2+*+*+*&timezone=America/Sao_Paulo", nil).ok(200)
	runs := answer.get("next_runs").([]any)
	require.Len(t, runs, 10)
	for i, run := range runs {
		at, err := time.Parse(time.RFC3339, run.(string))
		require.NoError(t, err)
		require.Equal(t, "02:30:00-03:00", run.(string)[11:])
		require.WithinRange(t, at, time.Now().Add(time.Duration(i)*24*time.Hour), time.Now().Add(time.Duration(i+1)*24*time.Hour))
	}
	require.Contains(t, f.call("GET", "/api/schedules/preview?cron=x", nil).text, "query.cron")
	require.Contains(t, f.call("GET", "/api/schedules/preview?cron=@daily&timezone=Mars", nil).text, "query.timezone")
	require.Equal(t, http.StatusForbidden, f.as(auth.DatasourcesRead).call("GET", "/api/schedules/preview?cron=@daily", nil).status)
}

// The jitter spreads runs that are due at the same moment: what is shown of one that has not begun is neither past nor the run
// after it, whatever else happens to the job meanwhile.
func TestTheNextRunOfAJobWhoseTimeHasJustComeIsTheOneThatHasNotBegun(t *testing.T) {
	f := signedIn(t)
	f.schedules()
	_, datasource, storage := f.job("by hand")
	due := time.Now().UTC().Add(-2 * time.Minute).Truncate(time.Minute)
	byThen, tomorrow := due.Add(5*time.Minute), due.AddDate(0, 0, 1)
	bodies := f.runJobs(datasource)
	bodies["/api/backup-jobs"] = object{"name": "nightly", "datasource_id": datasource, "storage_location_id": storage}
	for path, kind := range map[string]struct {
		table    string
		another  object // a change of what is not the schedule
		hadATurn func(id string, dueAt time.Time) error
	}{
		"/api/backup-jobs": {"backup_jobs", object{"retention_policy": object{"max_backups": 7}}, func(id string, dueAt time.Time) error {
			return f.db.SetJobLastDue(t.Context(), id, dueAt)
		}},
		"/api/db-sync-jobs": {"database_sync_jobs", object{"retention_policy": object{"max_backups": 7}}, func(id string, dueAt time.Time) error {
			return f.db.SetRunJobLastDue(t.Context(), db.RunSync, id, dueAt)
		}},
		"/api/restore-drill-jobs": {"restore_drill_jobs", object{"max_backup_age_hours": 72}, func(id string, dueAt time.Time) error {
			return f.db.SetRunJobLastDue(t.Context(), db.RunDrill, id, dueAt)
		}},
	} {
		body := bodies[path]
		body["schedule_cron"] = due.Format("4 15 * * *")
		made := f.call("POST", path, body).ok(201)
		id := made.get("id").(string)
		one := path + "/" + id
		// shows looks at the job, at the list, and at the answer to a change, if there is one.
		shows := func(want time.Time, why string, changes ...reply) {
			t.Helper()
			shown := []any{f.call("GET", one, nil).ok(200).get("next_execution_at")}
			for _, item := range f.call("GET", path, nil).ok(200).get("items").([]any) {
				if item.(object)["id"] == id {
					shown = append(shown, item.(object)["next_execution_at"])
				}
			}
			for _, change := range changes {
				shown = append(shown, change.get("next_execution_at"))
			}
			require.Len(t, shown, 2+len(changes))
			for _, at := range shown {
				parsed, err := time.Parse(time.RFC3339, at.(string))
				require.NoError(t, err)
				require.Equal(t, want, parsed.UTC(), "%s: %s", path, why)
			}
		}
		set := func(columns string) {
			t.Helper()
			dbtest.Execute(t, f.url, `UPDATE `+kind.table+` SET `+columns+` WHERE id = $1`, id)
		}
		shows(tomorrow, "the job was made after that", made)
		set(`schedule_since = now() - interval '1 hour', last_due_at = now() - interval '1 day'`)
		shows(byThen, "it begins by then")
		set(`last_execution_at = now()`)
		shows(byThen, "a run by hand is another one")
		shows(byThen, "its name is not its schedule", f.call("PATCH", one, object{"name": "renamed " + id}).ok(200))
		shows(byThen, "nor is this", f.call("PATCH", one, kind.another).ok(200))
		version := f.call("GET", one, nil).ok(200).get("version")
		require.NoError(t, kind.hadATurn(id, due))
		require.NoError(t, kind.hadATurn(id, due.AddDate(0, 0, -1)), "an earlier one, late")
		shows(tomorrow, "it has begun, or does not take place")
		require.Equal(t, version, f.call("GET", one, nil).ok(200).get("version"), "it is no change of the job")

		set(`last_due_at = NULL`)
		require.Nil(t, f.call("PATCH", one, object{"enabled": false}).ok(200).get("next_execution_at"))
		require.Nil(t, f.call("GET", one, nil).ok(200).get("next_execution_at"))
		shows(tomorrow, "the schedule is another one since then", f.call("PATCH", one, object{"enabled": true}).ok(200))
		set(`schedule_since = now() - interval '1 hour', last_due_at = now() + interval '1 year'`)
		require.NoError(t, kind.hadATurn(id, due.AddDate(0, 0, -1)), "a clock was a year ahead, and is right again")
		shows(byThen, "it begins by then")
	}
}

// runJobs are bodies of a sync job and a drill job, by their paths.
func (f *fixture) runJobs(datasource string) map[string]object {
	f.t.Helper()
	target := f.call("POST", "/api/datasources", object{
		"name": "copy", "type": "postgres", "connection_config": object{"host": "elsewhere.example", "database": "copy", "username": "u", "password": dbPassword},
	}).ok(201).get("id")
	return map[string]object{
		"/api/db-sync-jobs": {
			"name": "sync", "source_datasource_id": datasource, "target_datasource_id": target, "confirmation_phrase": "RESTORE copy",
			"drop_existing": true,
		},
		"/api/restore-drill-jobs": {"name": "drill", "datasource_id": datasource, "target_datasource_id": target},
	}
}

func TestTheScheduleOfASyncOrDrillIsMadeChangedAndRemovedWithIt(t *testing.T) {
	f := signedIn(t)
	s := f.schedules()
	_, datasource, _ := f.job("orders")
	scheduleID := map[string]func(string) string{"/api/db-sync-jobs": contract.SyncScheduleID, "/api/restore-drill-jobs": contract.DrillScheduleID}
	kinds := map[string]db.RunKind{"/api/db-sync-jobs": db.RunSync, "/api/restore-drill-jobs": db.RunDrill}
	for path, body := range f.runJobs(datasource) {
		body["schedule_cron"], body["schedule_timezone"] = "30 2 * * *", "Europe/Berlin"
		f.call("POST", path, with(body, "cancel_other", "overlap_policy")).wrong("overlap_policy")
		job := f.call("POST", path, body).ok(201)
		next, err := time.Parse(time.RFC3339, job.get("next_execution_at").(string))
		require.NoError(t, err)
		require.WithinRange(t, next, time.Now(), time.Now().Add(25*time.Hour))
		id := job.get("id").(string)
		one, key := path+"/"+id, scheduleID[path](id)
		made := s.there[key]
		require.Equal(t, 300*time.Second, made.Spec.Jitter, path)
		require.Equal(t, 24*time.Hour, made.CatchupWindow)
		require.Equal(t, "Europe/Berlin", made.Spec.TimeZoneName)
		require.Equal(t, "skip", job.get("overlap_policy"))
		require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, made.Overlap)
		require.Equal(t, "buffer_one", f.call("PATCH", one, object{"overlap_policy": "buffer_one"}).ok(200).get("overlap_policy"))
		require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE, s.there[key].Overlap)
		require.Equal(t, made.Note+" (buffers one)", s.there[key].Note)
		require.Equal(t, "buffer_one", f.call("PATCH", one, object{"name": "buffers " + id}).ok(200).get("overlap_policy"), "it stays")
		job = f.call("GET", one, nil).ok(200)

		require.NoError(t, f.db.SetRunJobNext(t.Context(), kinds[path], id, int64(job.get("version").(float64)), nil, "the disk is being moved")) // as the upkeep notes it
		paused := f.call("GET", one, nil).ok(200)
		require.Equal(t, "the disk is being moved", paused.get("schedule_pause"))
		require.Nil(t, paused.get("next_execution_at"))
		require.Equal(t, "the disk is being moved", f.call("PATCH", one, object{"name": "renamed " + id}).ok(200).get("schedule_pause"))

		disabled := f.call("PATCH", one, object{"enabled": false}).ok(200)
		require.Nil(t, disabled.get("next_execution_at"))
		require.True(t, s.there[key].Paused)
		enabled := f.call("PATCH", one, object{"enabled": true}).ok(200)
		require.NotNil(t, enabled.get("next_execution_at"), "disabling ended the pause")
		require.False(t, s.there[key].Paused)

		before := f.call("GET", path, nil).ok(200).text
		s.down = serviceerror.NewUnavailable("no connection")
		for what, refused := range map[string]reply{
			"change": f.call("PATCH", one, object{"schedule_cron": "@hourly"}), "disable": f.call("PATCH", one, object{"enabled": false}),
			"delete": f.call("DELETE", one, nil),
		} {
			require.Equal(t, http.StatusServiceUnavailable, refused.status, "%s %s: %s", what, path, refused.text)
		}
		s.down = nil
		require.Equal(t, before, f.call("GET", path, nil).ok(200).text, "nothing is changed")

		f.call("PATCH", one, object{"schedule_cron": ""}).ok(200)
		require.NotContains(t, s.there, key)
		f.call("PATCH", one, object{"schedule_cron": "@daily"}).ok(200)
		require.Contains(t, s.there, key)
		f.call("DELETE", one, nil).ok(204)
		require.NotContains(t, s.there, key)
	}
}
