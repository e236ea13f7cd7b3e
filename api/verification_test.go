package api

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestAVerificationIsStartedOnceAndAudited(t *testing.T) {
	f := signedIn(t)
	backup := f.completed(f.job("nightly"))
	f.starts().Once()
	answer := f.call("POST", "/api/executions/"+backup+"/verify", object{"mode": "full"}).ok(http.StatusAccepted)
	require.Equal(t, "running", answer.get("state"))
	require.Equal(t, "/api/executions/"+backup+"/verification", answer.header.Get("Location"))
	options := f.temporal.Calls[0].Arguments[1].(client.StartWorkflowOptions)
	require.Equal(t, "verify-"+backup, options.ID)
	require.Equal(t, enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL, options.WorkflowIDConflictPolicy)
	input := f.temporal.Calls[0].Arguments[3].(contract.VerifyBackupInput)
	require.Equal(t, domain.VerifyFull, input.Mode)
	require.Equal(t, backup, input.BackupID)
	require.Len(t, f.audits("execution.verify"), 1)

	f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).
		Return(nil, serviceerror.NewWorkflowExecutionAlreadyStarted("running", "", ""))
	f.call("POST", "/api/executions/"+backup+"/verify", object{"mode": "quick"}).problem(http.StatusConflict)
}

func TestWhatCanNotBeVerifiedIsRefused(t *testing.T) {
	f := signedIn(t)
	job, datasource, storage := f.job("nightly")
	backup := f.completed(job, datasource, storage)
	path := "/api/executions/" + backup + "/verify"
	f.call("POST", path, object{"mode": "none"}).wrong("mode")
	f.call("POST", path, object{"mode": "full", "storage_location_id": uuid.NewString()}).wrong("storage_location_id")
	f.call("POST", "/api/executions/"+uuid.NewString()+"/verify", object{"mode": "full"}).problem(http.StatusNotFound)
	dbtest.Execute(t, f.url, "UPDATE storage_locations SET enabled = false")
	f.call("POST", path, object{"mode": "full"}).problem(http.StatusConflict)
	dbtest.Execute(t, f.url, "UPDATE storage_locations SET enabled = true")
	dbtest.Execute(t, f.url, "UPDATE backup_executions SET deleting_at = now()")
	f.call("POST", path, object{"mode": "full"}).problem(http.StatusConflict)
	dbtest.Execute(t, f.url, "UPDATE backup_executions SET deleting_at = NULL, status = 'failed'")
	f.call("POST", path, object{"mode": "full"}).problem(http.StatusConflict)
	require.Empty(t, f.temporal.Calls)
}

func TestDamageIsListedWithTheBackupsThatNeedIt(t *testing.T) {
	f := signedIn(t)
	job, datasource, storage := f.job("nightly")
	backup := f.completed(job, datasource, storage)
	row, err := f.db.GetExecution(t.Context(), backup)
	require.NoError(t, err)
	ids := [][32]byte{{1}, {2}}
	var objects []db.DamagedObject
	for i, id := range ids {
		require.NoError(t, f.db.AddChunks(t.Context(), backup, []db.Chunk{{ID: id, Generation: row.Generation, StoredBytes: 1, Uploaded: true}}))
		objects = append(objects, db.DamagedObject{Key: "x/chunks/" + string(rune('a'+i)), ChunkID: &ids[i], Folder: row.Generation, Reason: "it is missing"})
	}
	copied, err := f.db.GetCopy(t.Context(), backup, storage)
	require.NoError(t, err)
	require.NoError(t, f.db.RecordCheck(t.Context(), db.Check{
		Copy: copied, Verification: domain.Verification{Mode: domain.VerifyFull, Damaged: 2}, Damaged: objects,
	}))
	path := "/api/storage-locations/" + storage + "/damage"
	first := f.call("GET", path+"?limit=1", nil).ok(http.StatusOK)
	item := first.get("items").([]any)[0].(object)
	require.Equal(t, "x/chunks/a", item["key"])
	require.Equal(t, backup, item["needed_by"].([]any)[0].(object)["execution_id"])
	second := f.call("GET", path+"?limit=1&cursor="+first.get("next_cursor").(string), nil).ok(http.StatusOK)
	require.Equal(t, "x/chunks/b", second.get("items").([]any)[0].(object)["key"])
	require.Empty(t, second.get("next_cursor"))
	f.call("GET", path+"?cursor=%21", nil).wrong("query.cursor")
	f.call("GET", "/api/storage-locations/"+uuid.NewString()+"/damage", nil).problem(http.StatusNotFound)
}
