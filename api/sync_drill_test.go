package api

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// jobsOf are the paths and names of sync jobs or drill jobs.
type jobsOf struct {
	jobs, runs, permission, resource, execution, schedule string
	kind                                                  db.RunKind
	document                                              func(source, target, storage string) object
}

var bothKinds = map[string]jobsOf{
	"syncs": {
		jobs: "/api/db-sync-jobs", runs: "/api/db-sync-executions", permission: "db_sync_jobs", resource: "db_sync_job", execution: "sync_execution",
		schedule: contract.SyncScheduleID(""), kind: db.RunSync,
		document: func(source, target, storage string) object {
			return object{"source_datasource_id": source, "target_datasource_id": target, "storage_location_id": storage, "drop_existing": true, "confirmation_phrase": "RESTORE staging"}
		},
	},
	"drills": {
		jobs: "/api/restore-drill-jobs", runs: "/api/restore-drill-executions", permission: "restore_drill_jobs", resource: "restore_drill_job", execution: "drill_execution",
		schedule: contract.DrillScheduleID(""), kind: db.RunDrill,
		document: func(source, target, _ string) object {
			return object{"datasource_id": source, "target_datasource_id": target, "max_backup_age_hours": 24}
		},
	},
}

// at makes a datasource on a host.
func (f *fixture) at(name, host, database string) string {
	f.t.Helper()
	body := datasourceBody(name)
	body["connection_config"].(object)["host"], body["connection_config"].(object)["database"] = host, database
	return f.call("POST", "/api/datasources", body).ok(201).get("id").(string)
}

func TestASyncAndADrillLiveThroughTheAPI(t *testing.T) {
	for name, k := range bothKinds {
		t.Run(name, func(t *testing.T) {
			f := signedIn(t)
			f.starts()
			s := f.schedules()
			_, source, storage := f.job("orders")
			target := f.at("staging", "staging.example.com", "orders")
			body := with(with(k.document(source, target, storage), "nightly", "name"), "0 3 * * *", "schedule_cron")

			made := f.call("POST", k.jobs, body).ok(201)
			id := made.get("id").(string)
			require.NotNil(t, made.get("next_execution_at"))
			require.Contains(t, s.there, k.schedule+id)
			f.call("POST", k.jobs, body).problem(409)
			require.Len(t, f.call("GET", k.jobs+"?datasource_id="+target, nil).ok(200).get("items"), 1)
			changed := f.call("PATCH", k.jobs+"/"+id, object{"enabled": false}, "If-Match", made.header.Get("ETag")).ok(200)
			require.True(t, s.there[k.schedule+id].Paused)
			f.call("PATCH", k.jobs+"/"+id, object{"enabled": true}, "If-Match", made.header.Get("ETag")).problem(412)
			require.Equal(t, changed.text, f.call("GET", k.jobs+"/"+id, nil).ok(200).text)

			run := f.call("POST", k.jobs+"/"+id+"/run", nil).ok(202)
			runID := run.get("id").(string)
			require.Equal(t, k.runs+"/"+runID, run.header.Get("Location"))
			require.Equal(t, runID, f.call("POST", k.jobs+"/"+id+"/run", nil).problem(409).ExecutionID)
			f.call("DELETE", k.jobs+"/"+id, nil).problem(409)
			for query, found := range map[string]int{"?status=queued&job_id=" + id: 1, "?status=failed": 0, "?from=2100-01-01T00:00:00Z": 0} {
				require.Len(t, f.call("GET", k.runs+query, nil).ok(200).get("items"), found, query)
			}
			f.followsToTheEnd(k, runID)
			require.Equal(t, "a line", f.call("GET", k.runs+"/"+runID+"/logs", nil).ok(200).get("items").([]any)[0].(object)["message"])
			f.call("POST", k.runs+"/"+runID+"/cancel", nil).problem(409)

			gone := f.call("POST", k.jobs+"/"+id+"/run", nil).ok(202).get("id").(string)
			f.temporal.On("CancelWorkflow", mock.Anything, mock.Anything, "").Return(serviceerror.NewNotFound("no such workflow"))
			require.Equal(t, "cancelled", f.call("POST", k.runs+"/"+gone+"/cancel", nil).ok(202).get("status"))
			f.call("DELETE", k.jobs+"/"+id, nil).ok(204)
			require.Empty(t, s.there)
			require.Nil(t, f.call("GET", k.runs+"/"+gone, nil).ok(200).get("job_id"), "runs outlive their job")
			for action, times := range map[string]int{k.resource + ".create": 1, k.resource + ".update": 1, k.resource + ".run": 2, k.execution + ".cancel": 1, k.resource + ".delete": 1} {
				require.Len(t, f.audits(action), times, action)
			}
		})
	}
}

// followsToTheEnd reads the events of a run while it begins, writes a line of its log, and ends.
func (f *fixture) followsToTheEnd(k jobsOf, id string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", f.http.URL+k.runs+"/"+id+"/events", nil)
	require.NoError(f.t, err)
	request.Header.Set("Authorization", "Bearer "+f.token)
	answer, err := f.http.Client().Do(request)
	require.NoError(f.t, err)
	defer func() { require.NoError(f.t, answer.Body.Close()) }()
	require.Equal(f.t, "text/event-stream", answer.Header.Get("Content-Type"))
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	tells := func(event, status string) {
		f.t.Helper()
		for name := ""; lines.Scan(); {
			switch field, value, _ := strings.Cut(lines.Text(), ": "); {
			case field == "event":
				name = value
			case field == "data" && name == event && strings.Contains(value, `"status":"`+status+`"`):
				require.NotContains(f.t, value, "a line", "the log has a path of its own")
				return
			}
		}
		require.Fail(f.t, "the stream ended before "+event+" "+status)
	}
	tells("snapshot", "queued")
	_, err = f.db.BeginRun(ctx, k.kind, id, "workflow-"+id, "run-1", "")
	require.NoError(f.t, err)
	tells("update", "running")
	require.NoError(f.t, f.db.LogRun(ctx, k.kind, id, domain.LogLine{Time: time.Now(), Level: "info", Message: "a line"}))
	closed, err := f.db.FinishRun(ctx, k.kind, id, db.Finish{Status: domain.Failed, ErrorMessage: "it went wrong"}, 0, "")
	require.NoError(f.t, err)
	require.True(f.t, closed)
	tells("end", "failed")
}

func TestASyncAndADrillAreChangedRunAndCancelledByThoseWhoMay(t *testing.T) {
	for name, k := range bothKinds {
		t.Run(name, func(t *testing.T) {
			f := signedIn(t)
			f.starts()
			_, source, storage := f.job("orders")
			body := with(k.document(source, f.at("staging", "staging.example.com", "orders"), storage), "nightly", "name")
			id := f.call("POST", k.jobs, body).ok(201).get("id").(string)
			reader := f.as(auth.Permission(k.permission + ".read"))
			runner := f.as(auth.Permission(k.permission+".read"), auth.Permission(k.permission+".run"))
			nobody := f.as(auth.HealthRead)

			run := runner.call("POST", k.jobs+"/"+id+"/run", nil).ok(202).get("id").(string)
			for _, path := range []string{k.jobs, k.jobs + "/" + id, k.runs, k.runs + "/" + run, k.runs + "/" + run + "/logs"} {
				reader.call("GET", path, nil).ok(200)
				nobody.call("GET", path, nil).problem(403)
			}
			nobody.call("GET", k.runs+"/"+run+"/events", nil).problem(403)
			for _, user := range []*fixture{reader, runner} {
				user.call("POST", k.jobs, body).problem(403)
				user.call("PATCH", k.jobs+"/"+id, object{"enabled": false}).problem(403)
				user.call("DELETE", k.jobs+"/"+id, nil).problem(403)
			}
			reader.call("POST", k.jobs+"/"+id+"/run", nil).problem(403)
			reader.call("POST", k.runs+"/"+run+"/cancel", nil).problem(403)
		})
	}
}

// Two restores into one database would each swap in what it has, and the last one would win.
func TestTwoRestoresIntoOneDatabaseAreNotBegunTogether(t *testing.T) {
	f := signedIn(t)
	f.starts()
	job, datasource, storage := f.job("orders")
	backup := f.completed(job, datasource, storage)
	target := f.at("staging", "localhost", "orders")
	alias := f.at("alias", "127.0.0.1", "orders")
	restore := func(target, name, database string, more ...object) reply {
		body := object{"target_datasource_id": target, "confirmation_phrase": "RESTORE " + name, "drop_existing": true}
		if database != "" {
			body["target_database"] = database
		}
		for _, m := range more {
			for key, value := range m {
				body[key] = value
			}
		}
		return f.call("POST", "/api/backups/"+backup+"/restore", body)
	}
	first := restore(target, "staging", "").ok(202).get("id").(string)
	for name, again := range map[string]reply{
		"the same":                  restore(target, "staging", ""),
		"by the database's name":    restore(target, "staging", "orders"),
		"by another name of a host": restore(alias, "alias", ""),
	} {
		require.Equal(t, first, again.problem(409).ExecutionID, name)
	}
	restore(target, "staging", "another").ok(202)
	restore(target, "staging", "", object{"verification_mode": true, "confirmation_phrase": "VERIFY RESTORE"}).ok(202)
	f.finish(first)
	restore(alias, "alias", "").ok(202)
}

func TestARestoreMeetsOneThatItsCallerDoesNotSee(t *testing.T) {
	l := newLimited(t, object{"resource": "datasource", "tag": "team-a"})
	for _, id := range []string{l.datasource, l.datasource2} {
		l.call("PATCH", "/api/datasources/"+id, object{"connection_config": object{"host": "one.example.com", "database": "shop", "password": "x"}}).ok(200)
	}
	restore := func(who *fixture, backup, target, name string) reply {
		return who.call("POST", "/api/backups/"+backup+"/restore",
			object{"target_datasource_id": target, "confirmation_phrase": "RESTORE " + name, "drop_existing": true})
	}
	first := restore(l.fixture, l.backup2, l.datasource2, "b").ok(202).get("id")
	require.Equal(t, first, restore(l.ana, l.backup, l.datasource, "a").problem(409).ExecutionID)
}

func TestAJobThatCouldOnlyDoHarmIsRefused(t *testing.T) {
	f := signedIn(t)
	_, _, storage := f.job("orders")
	a, b, c := f.at("a", "a.example.com", "shop"), f.at("b", "b.example.com", "shop"), f.at("c", "c.example.com", "shop")
	sync := func(name, from, into, phrase string, more ...object) reply {
		body := object{"name": name, "source_datasource_id": from, "target_datasource_id": into, "storage_location_id": storage, "confirmation_phrase": "RESTORE " + phrase}
		for _, m := range more {
			for key, value := range m {
				body[key] = value
			}
		}
		return f.call("POST", "/api/db-sync-jobs", body)
	}
	require.Contains(t, sync("self", a, a, "a").wrong("target_datasource_id"), "is the source")
	ab := sync("a to b", a, b, "b").ok(201).get("id").(string)
	require.Contains(t, sync("back", b, a, "a").wrong("target_datasource_id"), "circle")
	require.Contains(t, sync("back the other way", a, b, "a", object{"overwrite_direction": "target_to_source"}).wrong("target_datasource_id"), "circle")
	sync("b to c", b, c, "c").ok(201)
	require.Contains(t, sync("c to a", c, a, "a").wrong("target_datasource_id"), `"a to b", then "b to c"`)
	asleep := sync("c to a", c, a, "a", object{"enabled": false}).ok(201).get("id").(string)
	f.call("PATCH", "/api/db-sync-jobs/"+asleep, object{"enabled": true}).wrong("target_datasource_id")
	f.call("PATCH", "/api/db-sync-jobs/"+ab, object{"enabled": false}).ok(200)
	f.call("PATCH", "/api/db-sync-jobs/"+asleep, object{"enabled": true}).ok(200)

	server := object{"name": "server", "type": "postgres", "connection_config": object{"host": "d.example.com", "username": "u", "password": "p", "databases": object{"all": true}}}
	whole := f.call("POST", "/api/datasources", server).ok(201).get("id").(string)
	require.Contains(t, sync("whole", whole, a, "a").wrong("target_datasource_id"), "whole server")
	file := f.call("POST", "/api/datasources", object{"name": "file", "type": "sqlite", "connection_config": object{"file_path": "/srv/a.db"}}).ok(201).get("id").(string)
	require.Contains(t, sync("family", a, file, "file").wrong("target_datasource_id"), "is not copied into a sqlite one")
	other := f.call("POST", "/api/datasources", object{"name": "other file", "type": "sqlite", "connection_config": object{"file_path": "/srv/b.db"}}).ok(201).get("id").(string)
	require.Contains(t, sync("direct", file, other, "other file", object{"storage_location_id": ""}).wrong("storage_location_id"), "is required")

	drill := func(from, on string, options object) reply {
		return f.call("POST", "/api/restore-drill-jobs", object{"name": "drill", "datasource_id": from, "target_datasource_id": on, "drill_options": options})
	}
	require.Contains(t, drill(a, file, nil).wrong("target_datasource_id"), "is not restored on a sqlite one")
	assertion := object{"assertions": []object{{"name": "some", "sql": "SELECT 1"}}}
	require.Contains(t, drill(whole, whole, assertion).wrong("drill_options.assertions"), "one database")
	require.Contains(t, drill(a, a, object{"assertions": []object{{"name": " ", "sql": " "}}}).wrong("drill_options.assertions[0].sql"), "empty")
}
