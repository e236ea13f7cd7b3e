package api

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// target is another datasource to copy into.
func (a asking) target() string {
	a.t.Helper()
	body := datasourceBody("copy")
	body["connection_config"].(object)["host"] = "copy.example.com"
	return a.call("POST", "/api/datasources", body).ok(201).get("id").(string)
}

func (a asking) sync(change object) object {
	body := syncBody(a.datasource, a.target(), a.storage, "copy")
	for name, value := range change {
		body[name] = value
	}
	return body
}

func TestASyncOverSomethingWaitsForAnotherPerson(t *testing.T) {
	a := newAsking(t)
	body := a.sync(object{"drop_existing": true})
	job := a.ana.call("POST", "/api/db-sync-jobs", body).ok(201).get("id").(string)
	path := "/api/db-sync-jobs/" + job
	runs := func() []string { return a.call("GET", "/api/db-sync-executions", nil).ids("id") }

	id := a.ana.call("POST", path+"/run", nil).asked()
	require.Equal(t, "db_sync_jobs.run", a.bob.call("GET", approvalsPath+"/"+id, nil).ok(200).get("permission"))
	require.Empty(t, runs())
	require.Contains(t, a.ana.call("POST", path+"/run", nil, approvalHeader, id).problem(409).Detail, "pending")
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)

	a.ana.call("PATCH", path, object{"backup_options": object{"exclude_tables": []string{"people"}}}).ok(200)
	require.Contains(t, a.ana.call("POST", path+"/run", nil, approvalHeader, id).problem(409).Detail, "another request", "the job copies something else now")

	id = a.ana.call("POST", path+"/run", nil).asked()
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
	run := a.ana.call("POST", path+"/run", nil, approvalHeader, id).ok(202).get("id").(string)
	require.Equal(t, []string{run}, runs())
	require.Contains(t, a.audits("db_sync_job.run")[0].Changes, id)

	_, err := a.db.FinishRun(t.Context(), db.RunSync, run, db.Finish{Status: domain.Failed}, 0, "")
	require.NoError(t, err)
	a.ana.call("POST", "/api/db-sync-executions/"+run+"/retry", nil).asked()
	a.ana.call("POST", path+"/run", nil, approvalHeader, id).problem(409)

	a.ana.call("PATCH", path, object{"drop_existing": false}).ok(200)
	require.NotEmpty(t, a.ana.call("POST", path+"/run", nil).ok(202).get("id"), "a sync into what must be empty asks nobody")
}

func TestASyncGetsAScheduleThatOverwritesByAnotherPerson(t *testing.T) {
	a := newAsking(t)
	scheduled := a.sync(object{"drop_existing": true, "schedule_cron": "0 3 * * *"})
	a.schedules()
	id := a.ana.call("POST", "/api/db-sync-jobs", scheduled).asked()
	require.Empty(t, a.call("GET", "/api/db-sync-jobs", nil).ids("id"))
	require.Equal(t, "db_sync_jobs.write", a.bob.call("GET", approvalsPath+"/"+id, nil).get("permission"))

	scheduled["enabled"] = false // nothing runs alone then
	job := "/api/db-sync-jobs/" + a.ana.call("POST", "/api/db-sync-jobs", scheduled).ok(201).get("id").(string)
	a.ana.call("PATCH", job, object{"enabled": true}).asked()
	a.ana.call("PATCH", job, object{"name": "renamed"}).ok(200)
	id = a.ana.call("PATCH", job, object{"enabled": true}).asked()
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
	require.Contains(t, a.ana.call("PATCH", job, object{"enabled": true, "schedule_cron": "* * * * *"}, approvalHeader, id).problem(409).Detail, "another request")
}

func TestAnApprovalOfASyncOutlivesAnOutageOfTemporal(t *testing.T) {
	a := newAsking(t)
	path := "/api/db-sync-jobs/" + a.ana.call("POST", "/api/db-sync-jobs", a.sync(object{"drop_existing": true})).ok(201).get("id").(string)
	id, spent := a.ana.call("POST", path+"/run", nil).asked(), a.ana.call("DELETE", "/api/executions/"+a.backup, nil).asked()
	for _, one := range []string{id, spent} {
		a.bob.call("POST", approvalsPath+"/"+one+"/approve", nil).ok(200)
	}
	a.ana.call("DELETE", "/api/executions/"+a.backup, nil, approvalHeader, spent).ok(202)
	a.temporal.ExpectedCalls = nil
	a.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, serviceerror.NewUnavailable("away"))
	a.temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, mock.Anything).Return(nil, serviceerror.NewUnavailable("away"))
	a.ana.call("POST", path+"/run", nil, approvalHeader, id).problem(503)
	require.Equal(t, "approved", a.ana.call("GET", approvalsPath+"/"+id, nil).get("status"))

	a.ana.call("PATCH", path, object{"drop_existing": false}).ok(200)
	a.ana.call("POST", path+"/run", nil, approvalHeader, spent).problem(503)
	a.ana.call("POST", "/api/backup-jobs/"+a.job+"/run", nil, approvalHeader, spent).problem(503)
	require.Equal(t, "used", a.ana.call("GET", approvalsPath+"/"+spent, nil).get("status"), "an approval that was used for something else stays used")
	a.reopened(id)
}

func TestWhoeverSwitchesApprovalsOffNeedsOne(t *testing.T) {
	a := newAsking(t)
	path := "/api/system/settings"
	a.ana.call("PATCH", path, object{"health.latency_warning_ms": 900}).ok(200)
	a.ana.call("PATCH", path, object{domain.SettingApprovalExpiry: 12}).ok(200)
	off := object{domain.SettingApproveRestore: false}
	id := a.ana.call("PATCH", path, off).asked()
	a.ana.call("PUT", path, object{}).asked()
	a.ana.call("PATCH", path, object{domain.SettingApproveDeleteBackup: nil}).asked()
	a.ana.call("POST", approvalsPath+"/"+id+"/approve", nil).problem(403)
	require.Contains(t, a.ana.call("PATCH", path, off, approvalHeader, id).problem(409).Detail, "pending")
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
	require.Contains(t, a.ana.call("PATCH", path, object{domain.SettingApproveRestore: false, domain.SettingApproveDeleteBackup: false}, approvalHeader, id).problem(409).Detail, "another request")
	a.ana.call("PATCH", path, off, approvalHeader, id).ok(200)
	a.ana.call("PATCH", path, off).ok(200)
	a.ana.call("PATCH", path, object{domain.SettingApproveRestore: true}).ok(200)
	a.ana.call("PATCH", path, off, approvalHeader, id).problem(409)
	settings, err := a.db.ApprovalSettings(t.Context())
	require.NoError(t, err)
	require.Equal(t, domain.ApprovalSettings{RestoreOverwrite: true, DeleteBackups: true, DeleteStorageLocations: true, ExpiryHours: 12}, settings)
}

func TestARetentionPolicyThatDeletesMoreWaitsForAnotherPerson(t *testing.T) {
	a := newAsking(t)
	path := "/api/backup-jobs/" + a.job
	a.ana.call("PATCH", path, object{"retention_policy": object{"max_backups": 2, "auto_delete": true}}).ok(200)
	a.completed(a.job, a.datasource, a.storage)
	a.completed(a.job, a.datasource, a.storage)
	a.ana.call("PATCH", path, object{"name": "renamed"}).ok(200)
	a.ana.call("PATCH", path, object{"retention_policy": object{"max_backups": 5}}).ok(200)
	a.ana.call("PATCH", path, object{"retention_policy": object{"auto_delete": false, "max_backups": 1}}).ok(200)
	change := object{"retention_policy": object{"auto_delete": true}, "confirm_retention": true}
	// A pin can be taken away the moment after.
	dbtest.Execute(t, a.url, `UPDATE backup_executions SET pinned = true`)
	a.ana.call("PATCH", path, change).asked()
	dbtest.Execute(t, a.url, `UPDATE backup_executions SET pinned = false`)
	id := a.ana.call("PATCH", path, change).asked()
	require.Contains(t, a.bob.call("GET", approvalsPath+"/"+id, nil).ok(200).get("summary"), "delete 2 more")
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
	require.Equal(t, true, a.ana.call("PATCH", path, change, approvalHeader, id).ok(http.StatusOK).get("retention_policy", "auto_delete"))
	require.Contains(t, a.audits("backup_job.update")[len(a.audits("backup_job.update"))-1].Changes, id)
}

// A document can not ask for an approval of a part of it.
func TestADocumentDoesNotGoRoundApprovals(t *testing.T) {
	a := newAsking(t)
	a.target()
	document := `
db_sync_jobs:
  - name: nightly
    source_datasource: orders
    target_datasource: copy
    storage_location: orders
    drop_existing: true
    schedule_cron: 0 3 * * *
    confirmation_phrase: RESTORE copy
`
	answer := a.ana.call("POST", "/api/system/config", document, "Content-Type", "application/yaml")
	require.Contains(t, answer.problem(http.StatusUnprocessableEntity).Detail, "by itself")
	require.Empty(t, a.call("GET", "/api/db-sync-jobs", nil).ids("id"))
	require.Empty(t, a.call("GET", approvalsPath, nil).ids("id"))
}

// backedUp is a backup that a run of a sync job made.
func (a asking) backedUp(syncJob string) string {
	a.t.Helper()
	row, err := a.db.CreateExecution(a.t.Context(), db.Execution{
		DatasourceID: &a.datasource, StorageLocationID: &a.storage,
		Metadata: domain.ExecutionMetadata{Operation: domain.OperationBackup, Trigger: domain.TriggerSync},
	})
	require.NoError(a.t, err)
	require.NoError(a.t, a.db.FinishExecution(a.t.Context(), row.ID, db.Finish{Status: domain.Completed}))
	dbtest.Execute(a.t, a.url, `INSERT INTO database_sync_executions (id, sync_job_id, backup_execution_id, status, finished_at, overwrite_direction)
		VALUES (gen_random_uuid(), $1, $2, 'completed', now(), 'source_to_target')`, syncJob, row.ID)
	return row.ID
}

func TestARetentionOfASyncThatDeletesMoreWaitsForAnotherPerson(t *testing.T) {
	a := newAsking(t)
	a.schedules()
	kept := object{"max_backups": 2, "auto_delete": true}
	id := a.ana.call("POST", "/api/db-sync-jobs", a.sync(object{"drop_existing": true, "retention_policy": kept})).ok(201).get("id").(string)
	path := "/api/db-sync-jobs/" + id
	a.backedUp(id)
	a.backedUp(id)
	a.ana.call("PATCH", path, object{"retention_policy": object{"max_backups": 3}}).ok(200)
	a.ana.call("PATCH", path, object{"retention_policy": object{"max_backups": 1, "auto_delete": false}}).ok(200)
	change := object{"retention_policy": object{"auto_delete": true}}
	asked := a.ana.call("PATCH", path, change).asked()
	row := a.bob.call("GET", approvalsPath+"/"+asked, nil).ok(200)
	require.Equal(t, "db_sync_jobs.write", row.get("permission"))
	require.Contains(t, row.get("summary"), "delete 1 more")
	require.Equal(t, false, a.call("GET", path, nil).ok(200).get("retention_policy", "auto_delete"))
	both := with(change, "0 3 * * *", "schedule_cron")
	require.Contains(t, a.ana.call("PATCH", path, both).wrong("retention_policy"), "by itself", "one approval is not good for both")
	document := "db_sync_jobs:\n  - name: " + a.call("GET", path, nil).get("name").(string) + "\n    retention_policy: {auto_delete: true}\n"
	require.Contains(t, a.ana.call("POST", "/api/system/config", document, "Content-Type", yamlType).problem(http.StatusUnprocessableEntity).Detail, "by itself")
	a.bob.call("POST", approvalsPath+"/"+asked+"/approve", nil).ok(200)
	a.ana.call("PATCH", path, change, approvalHeader, asked).ok(200)
	require.Contains(t, a.audits("db_sync_job.update")[len(a.audits("db_sync_job.update"))-1].Changes, asked)
	a.ana.call("PATCH", path, object{"name": "renamed"}).ok(200)
}

func TestAnotherTimeOfASyncThatOverwritesWaitsForAnotherPerson(t *testing.T) {
	a := newAsking(t)
	a.schedules()
	scheduled := a.sync(object{"drop_existing": true, "schedule_cron": "0 3 * * 0"})
	id := a.ana.call("POST", "/api/db-sync-jobs", scheduled).asked()
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
	path := "/api/db-sync-jobs/" + a.ana.call("POST", "/api/db-sync-jobs", scheduled, approvalHeader, id).ok(201).get("id").(string)
	a.ana.call("PATCH", path, object{"name": "renamed"}).ok(200)
	id = a.ana.call("PATCH", path, object{"schedule_cron": "* * * * *"}).asked()
	require.Contains(t, a.bob.call("GET", approvalsPath+"/"+id, nil).ok(200).get("summary"), "* * * * *")
	a.ana.call("PATCH", path, object{"schedule_timezone": "Asia/Tokyo"}).asked()
	document := "db_sync_jobs:\n  - name: renamed\n    schedule_cron: 0 4 * * *\n"
	require.Contains(t, a.ana.call("POST", "/api/system/config", document, "Content-Type", yamlType).problem(http.StatusUnprocessableEntity).Detail, "by itself")
	require.Equal(t, "0 3 * * 0", a.call("GET", path, nil).ok(200).get("schedule_cron"))
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
	a.ana.call("PATCH", path, object{"schedule_cron": "* * * * *"}, approvalHeader, id).ok(200)
	a.ana.call("PATCH", path, object{"schedule_cron": ""}).ok(200)
}

func TestAPinThatKeepsABackupFromRetentionIsTakenAwayByTwo(t *testing.T) {
	a := newAsking(t)
	pin := func(id string, pinned bool, headers ...string) reply {
		return a.ana.call("POST", "/api/executions/"+id+"/pin", object{"pinned": pinned}, headers...)
	}
	a.ana.call("PATCH", "/api/backup-jobs/"+a.job, object{"retention_policy": object{"max_backups": 1, "auto_delete": true}}).ok(200)
	pin(a.backup, true).ok(200)
	pin(a.backup, false).ok(200) // the only one stays
	pin(a.backup, true).ok(200)
	newest := a.completed(a.job, a.datasource, a.storage)
	pin(newest, true).ok(200)
	pin(newest, false).ok(200) // the policy keeps it
	id := pin(a.backup, false).asked()
	require.Equal(t, true, a.call("GET", "/api/executions/"+a.backup, nil).ok(200).get("pinned"))
	require.Equal(t, "executions.control", a.bob.call("GET", approvalsPath+"/"+id, nil).ok(200).get("permission"))
	require.Contains(t, pin(a.backup, false, approvalHeader, id).problem(http.StatusConflict).Detail, "pending")
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
	require.Equal(t, false, pin(a.backup, false, approvalHeader, id).ok(200).get("pinned"))
	require.Contains(t, a.audits("execution.pin")[len(a.audits("execution.pin"))-1].Changes, id)

	a.ana.call("PATCH", "/api/backup-jobs/"+a.job, object{"retention_policy": object{"auto_delete": false}}).ok(200)
	pin(a.backup, true).ok(200)
	pin(a.backup, false).ok(200) // nothing is deleted by itself

	sync := a.ana.call("POST", "/api/db-sync-jobs", a.sync(object{"drop_existing": true})).ok(201).get("id").(string)
	first := a.backedUp(sync)
	pin(first, true).ok(200)
	second := a.backedUp(sync)
	pin(first, false).asked()
	pin(second, true).ok(200)
	pin(second, false).ok(200)
	a.call("DELETE", "/api/db-sync-jobs/"+sync, nil).ok(204)
	pin(first, false).ok(200) // no policy is left
}
