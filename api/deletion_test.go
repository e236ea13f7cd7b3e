package api

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
)

func TestADeletionStartsItsWorkflowOnceNothingHoldsTheBackup(t *testing.T) {
	f := signedIn(t)
	f.starts()
	job, datasource, storage := f.job("orders")
	id := f.completed(job, datasource, storage)
	path := "/api/executions/" + id

	require.Equal(t, true, f.call("POST", path+"/pin", object{"pinned": true}).ok(200).get("pinned"))
	refused := f.call("DELETE", path, nil).problem(http.StatusConflict)
	require.Equal(t, []string{"it is pinned"}, refused.Holders)
	require.Contains(t, refused.Detail, "it is pinned. To unpin it, POST")
	require.Empty(t, f.audits("execution.delete"), "a refused deletion leaves no entry")
	f.call("POST", path+"/pin", object{"pinned": false}).ok(200)
	require.Len(t, f.audits("execution.pin"), 2)
	require.Contains(t, f.audits("execution.pin")[1].Changes, `"before": {"pinned": true}`)

	restore := f.call("POST", "/api/backups/"+id+"/restore", object{
		"target_datasource_id": datasource, "confirmation_phrase": "VERIFY RESTORE", "verification_mode": true,
	}).ok(202).get("id").(string)
	require.Contains(t, f.call("DELETE", path, nil).problem(http.StatusConflict).Detail, "queued restore "+restore+" reads it")
	require.Contains(t, f.call("DELETE", "/api/executions/"+restore, nil).problem(http.StatusConflict).Detail, "it is queued")
	f.call("POST", "/api/executions/"+restore+"/pin", object{"pinned": true}).problem(http.StatusConflict)
	f.finish(restore)

	answer := f.call("DELETE", path, nil).ok(202)
	require.Equal(t, path, answer.header.Get("Location"))
	started := f.temporal.Calls[len(f.temporal.Calls)-1].Arguments
	options := started[1].(client.StartWorkflowOptions)
	require.Equal(t, "delete-"+id, options.ID)
	require.Equal(t, "dataguardian.default", options.TaskQueue)
	require.Equal(t, "DeleteBackup", started[2])
	require.Equal(t, id, started[3].(contract.ExecutionInput).ExecutionID)
	require.Len(t, f.audits("execution.delete"), 1)

	require.NoError(t, f.db.MarkDeleting(t.Context(), id))
	require.NotEmpty(t, f.call("GET", path, nil).ok(200).get("deleting_at"))
	f.call("DELETE", path, nil).ok(202)
	require.Contains(t, f.call("POST", path+"/pin", object{"pinned": true}).problem(http.StatusConflict).Detail, "being deleted")
	require.Contains(t, f.call("POST", "/api/backups/"+id+"/restore", object{
		"target_datasource_id": datasource, "confirmation_phrase": "VERIFY RESTORE", "verification_mode": true,
	}).problem(http.StatusConflict).Detail, "being deleted")
	require.Empty(t, f.call("GET", "/api/backups/datasources/"+datasource, nil).ok(200).get("items"), "it can not be restored any more")
	f.call("DELETE", "/api/datasources/"+datasource, nil).problem(http.StatusConflict)
	f.call("DELETE", "/api/executions/00000000-0000-7000-8000-000000000000", nil).problem(http.StatusNotFound)
}

func TestADeletionIsNotForReadersAndChangesNothingWithoutTemporal(t *testing.T) {
	f := signedIn(t)
	f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, errors.New("connection refused"))
	id := f.completed(f.job("orders"))
	reader := f.as(auth.ExecutionsRead, auth.StorageRead)
	reader.call("DELETE", "/api/executions/"+id, nil).problem(http.StatusForbidden)
	reader.call("POST", "/api/executions/"+id+"/pin", object{"pinned": true}).problem(http.StatusForbidden)
	f.call("DELETE", "/api/executions/"+id, nil).problem(http.StatusServiceUnavailable)
	require.Nil(t, f.call("GET", "/api/executions/"+id, nil).ok(200).get("deleting_at"))
}

func TestAReconciliationAnswersWithItsReportAndIsDryUnlessAsked(t *testing.T) {
	f := signedIn(t)
	_, _, storage := f.job("orders")
	path := "/api/storage-locations/" + storage + "/reconcile"
	f.as(auth.StorageRead).call("POST", path, nil).problem(http.StatusForbidden)
	var asked []contract.ReconcileInput
	run := &mocks.WorkflowRun{}
	run.On("Get", mock.Anything, mock.Anything).Run(func(args mock.Arguments) {
		*args[1].(*contract.ReconcileResult) = contract.ReconcileResult{DryRun: true, Orphans: contract.Removed{Objects: 2, Bytes: 34}, UnknownBackups: 1}
	}).Return(nil)
	f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, "Reconcile", mock.Anything).
		Run(func(args mock.Arguments) { asked = append(asked, args[3].(contract.ReconcileInput)) }).Return(run, nil).Twice()

	answer := f.call("POST", path, nil).ok(200)
	require.Equal(t, float64(34), answer.get("orphans", "bytes"))
	require.Equal(t, float64(1), answer.get("unknown_backups"))
	require.Equal(t, []any{}, answer.get("unreadable_manifests"))
	f.call("POST", path, object{"dry_run": false}).ok(200)
	require.Equal(t, []bool{true, false}, []bool{asked[0].DryRun, asked[1].DryRun})
	require.Equal(t, contract.ReconcileWorkflowID(storage), f.temporal.Calls[0].Arguments[1].(client.StartWorkflowOptions).ID)
	require.Len(t, f.audits("storage_location.reconcile"), 2)

	f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, "Reconcile", mock.Anything).
		Return(nil, serviceerror.NewWorkflowExecutionAlreadyStarted("running", "", ""))
	require.Contains(t, f.call("POST", path, nil).problem(http.StatusConflict).Detail, "already")
	f.call("PATCH", "/api/storage-locations/"+storage, object{"enabled": false}).ok(200)
	require.Contains(t, f.call("POST", path, nil).problem(http.StatusConflict).Detail, "disabled")
}
