package api

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestAPolicyIsShownBeforeItIsApplied(t *testing.T) {
	f := signedIn(t)
	job, datasource, storage := f.job("orders")
	path := "/api/backup-jobs/" + job
	var ids []string
	for range 4 {
		ids = append(ids, f.completed(job, datasource, storage))
	}
	preview := f.call("POST", path+"/retention/preview", object{}).ok(200)
	require.Equal(t, 1.0, preview.get("removed"))
	require.Equal(t, 3.0, preview.get("kept"))
	backups := preview.get("backups").([]any)
	require.Len(t, backups, 4)
	oldest := backups[3].(object)
	require.Equal(t, ids[0], oldest["execution_id"])
	require.Equal(t, false, oldest["keep"])
	require.Equal(t, []any{"3 newer ones are kept (max_backups)"}, oldest["reasons"])
	require.Equal(t, []any{"among the newest 3 (max_backups)"}, backups[0].(object)["reasons"])

	require.Equal(t, 0.0, f.call("POST", path+"/retention/preview", object{"retention_policy": object{"keep_last": 4}}).ok(200).get("removed"))
	require.Equal(t, 3.0, f.call("POST", path+"/retention/preview", object{"retention_policy": object{"keep_daily": 1}, "schedule_timezone": "Europe/Berlin"}).ok(200).get("removed"))
	f.call("POST", path+"/retention/preview", object{"retention_policy": object{"max_backups": -1}}).problem(422)
	f.call("POST", path+"/retention/preview", object{"schedule_timezone": "Mars/Base"}).problem(422)
	f.call("POST", "/api/backup-jobs/9a3f0c62-7f2e-4b1e-9d0c-0a4b1c2d3e4f/retention/preview", object{}).problem(404)
	require.Equal(t, 3.0, f.call("GET", path, nil).ok(200).get("retention_policy").(object)["max_backups"], "a preview changes nothing")
}

func TestAChangeThatDeletesSeveralBackupsHasToBeConfirmed(t *testing.T) {
	f := signedIn(t)
	job, datasource, storage := f.job("orders")
	path := "/api/backup-jobs/" + job
	f.call("PATCH", path, object{"retention_policy": object{"max_backups": 100}}).ok(200)
	for range 5 {
		f.completed(job, datasource, storage)
	}
	f.call("PATCH", path, object{"retention_policy": object{"max_backups": 4}}).ok(200) // one goes: nothing out of the ordinary
	refused := f.call("PATCH", path, object{"retention_policy": object{"max_backups": 2}}).problem(http.StatusConflict)
	require.Contains(t, refused.Detail, "3 of the 5 backups of the job are deleted")
	require.Contains(t, refused.Detail, "confirm_retention")
	require.Len(t, refused.Errors, 3)
	require.Equal(t, 4.0, f.call("GET", path, nil).ok(200).get("retention_policy").(object)["max_backups"], "nothing was changed")

	f.call("PATCH", path, object{"retention_policy": object{"max_backups": 2, "auto_delete": false}}).ok(200) // only reports
	f.call("PATCH", path, object{"retention_policy": object{"auto_delete": true}}).problem(http.StatusConflict)
	f.call("PATCH", path, object{"retention_policy": object{"auto_delete": true}, "confirm_retention": true}).ok(200)
	f.call("PATCH", path, object{"name": "another"}).ok(200) // the policy stays as it is
}

func TestAJobShowsWhatItsRetentionDid(t *testing.T) {
	f := signedIn(t)
	job, _, _ := f.job("orders")
	require.NotContains(t, f.call("GET", "/api/backup-jobs/"+job, nil).ok(200).text, "last_retention")
	require.NoError(t, f.db.RecordRetention(t.Context(), job, "run", domain.RetentionResult{Kept: 3, Removed: 2, Bytes: 42}, (*db.Notification)(nil)))
	last := f.call("GET", "/api/backup-jobs/"+job, nil).ok(200).get("last_retention").(object)
	require.Equal(t, 2.0, last["removed"])
	listed := f.call("GET", "/api/backup-jobs", nil).ok(200).get("items").([]any)[0].(object)
	require.Equal(t, last, listed["last_retention"])
}

func TestWhoReadsJobsMayPreviewTheirRetention(t *testing.T) {
	f := signedIn(t)
	require.Equal(t, []auth.Permission{auth.BackupJobsRead}, f.server.declared["POST /api/backup-jobs/:id/retention/preview"].anyOf)
}
