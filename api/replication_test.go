package api

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// second creates another storage location and returns its id.
func (f *fixture) second(name string, change ...any) string {
	f.t.Helper()
	body := storageBody(name)
	if len(change) > 0 {
		body = with(body, change[0], change[1].(string))
	}
	return f.call("POST", "/api/storage-locations", body).ok(201).get("id").(string)
}

func TestStorageTargetsOfAJob(t *testing.T) {
	f := signedIn(t)
	f.starts()
	job, _, storage := f.job("orders")
	near, far := f.second("near"), f.second("far", "site-b", "pool")
	path := "/api/backup-jobs/" + job
	targets := func(ids ...string) object {
		list := []object{}
		for i, id := range ids {
			list = append(list, object{"storage_location_id": id, "order": len(ids) - i})
		}
		return object{"backup_options": object{"storage_strategy": "replicate", "storage_targets": list}}
	}
	for name, c := range map[string]struct {
		body     object
		location string
		says     string
	}{
		"the job's own location":       {targets(near, storage), "backup_options.storage_targets[1].storage_location_id", "own location"},
		"a location twice":             {targets(near, near), "backup_options.storage_targets[1].storage_location_id", "already"},
		"a location of another pool":   {targets(far), "backup_options.storage_targets[0].storage_location_id", "pool site-b"},
		"a location that is not there": {targets(job), "backup_options.storage_targets[0].storage_location_id", "there is no storage location"},
		"no location":                  {targets(), "backup_options.storage_targets", "at least one"},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			f := *f
			f.t = t
			require.Contains(t, f.call("PATCH", path, c.body).wrong(c.location), c.says)
			require.Contains(t, f.call("POST", path+"/run", c.body).wrong(c.location), c.says)
		})
	}
	f.call("PATCH", path, targets(near)).ok(200)
	require.Equal(t, []string{`backup job "orders"`}, f.call("DELETE", "/api/storage-locations/"+near, nil).problem(http.StatusConflict).Holders)
	require.Contains(t, f.call("PATCH", "/api/storage-locations/"+near, object{"pool": "site-b"}).wrong("pool"), "orders")
	f.call("PATCH", "/api/storage-locations/"+near, object{"enabled": false}).ok(200)
	require.Contains(t, f.call("POST", path+"/run", nil).wrong("backup_options.storage_targets[0].storage_location_id"), "disabled")
	f.call("PATCH", path, object{"backup_options": object{"storage_strategy": "fallback", "storage_targets": []object{}}}).ok(200)
	f.call("DELETE", "/api/storage-locations/"+near, nil).ok(http.StatusNoContent)
}

// replicatedBackup is a completed backup with a copy that failed, and the id of its location.
func (f *fixture) replicatedBackup() (backup, second string) {
	f.t.Helper()
	job, datasource, storage := f.job("orders")
	second = f.second("second")
	return f.replicatedOf(job, datasource, storage, second), second
}

// replicatedOf is a completed backup of a job whose copy on second failed.
func (f *fixture) replicatedOf(job, datasource, storage, second string) string {
	f.t.Helper()
	row, err := f.db.CreateExecution(f.t.Context(), db.Execution{
		JobID: &job, DatasourceID: &datasource, StorageLocationID: &storage,
		Metadata: domain.ExecutionMetadata{
			Operation: domain.OperationBackup, Trigger: domain.TriggerManual, ManifestPath: "orders/manifest.json",
			Options: &domain.BackupOptions{StorageStrategy: domain.StrategyReplicate, StorageTargets: []domain.StorageTarget{{StorageLocationID: second}}},
		},
	})
	require.NoError(f.t, err)
	f.finish(row.ID)
	f.result(row.ID, second, domain.TargetFailed)
	return row.ID
}

func (f *fixture) result(backup, location string, status domain.TargetStatus) {
	f.t.Helper()
	_, err := f.db.RecordTarget(f.t.Context(), backup, db.TargetReport{Result: domain.StorageResult{StorageLocationID: location, Name: "second", Status: status}})
	require.NoError(f.t, err)
}

// describes says whether Temporal runs the copying.
func (f *fixture) describes(backup, location string, status enumspb.WorkflowExecutionStatus) *mock.Call {
	return f.temporal.On("DescribeWorkflowExecution", mock.Anything, contract.ReplicateWorkflowID(backup, location), "").
		Return(&workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: status}}, nil)
}

func TestAFailedCopyIsTriedAgain(t *testing.T) {
	f := signedIn(t)
	backup, second := f.replicatedBackup()
	path := "/api/executions/" + backup + "/retry-upload"
	f.as(auth.ExecutionsRead).call("POST", path, nil).problem(http.StatusForbidden)

	described := f.describes(backup, second, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING)
	require.Contains(t, f.call("POST", path, nil).problem(http.StatusConflict).Detail, "being copied already")
	described.Unset()
	described = f.temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "").Return(nil, serviceerror.NewNotFound("?"))
	down := f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, errors.New("connection refused"))
	f.call("POST", path, nil).problem(http.StatusServiceUnavailable)
	state := f.call("GET", "/api/executions/"+backup, nil).ok(200).get("metadata", "storage_results").([]any)[0].(object)
	require.Equal(t, "failed", state["status"])
	require.Contains(t, state["error"], "Temporal did not start")
	down.Unset()

	f.starts()
	answer := f.call("POST", path, nil).ok(202)
	require.Equal(t, "pending", answer.get("metadata", "storage_results").([]any)[0].(object)["status"])
	started := f.temporal.Calls[len(f.temporal.Calls)-1].Arguments
	require.Equal(t, contract.ReplicateWorkflowID(backup, second), started[1].(client.StartWorkflowOptions).ID)
	require.Equal(t, "dataguardian.default", started[1].(client.StartWorkflowOptions).TaskQueue)
	require.Equal(t, contract.ReplicateInput{
		ExecutionID: backup, Target: contract.Place{StorageID: second, Name: "second", Pool: "default"},
		Labels: contract.Labels{Datasource: "orders", Storage: "second"},
	}, started[3])
	require.Len(t, f.audits("execution.retry_upload"), 2)
	described.Unset()

	described = f.describes(backup, second, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING)
	require.Equal(t, []string{`its copy to storage location "second" is being made`},
		f.call("DELETE", "/api/executions/"+backup, nil).problem(http.StatusConflict).Holders)
	described.Unset()
	require.NoError(t, f.db.PutReplica(t.Context(), db.Replica{ExecutionID: backup, StorageLocationID: second, ManifestPath: "orders/manifest.json"}))
	require.Contains(t, f.call("POST", path, nil).problem(http.StatusConflict).Detail, "has it already")
}

func TestACopyWhoseWorkflowIsGoneHoldsNothing(t *testing.T) {
	f := signedIn(t)
	f.starts()
	backup, second := f.replicatedBackup()
	f.result(backup, second, domain.TargetPending)
	f.describes(backup, second, enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED)
	f.call("DELETE", "/api/executions/"+backup, nil).ok(202)
	require.Equal(t, "failed", f.call("GET", "/api/executions/"+backup, nil).ok(200).get("metadata", "storage_results").([]any)[0].(object)["status"])
}

func TestOnlyACompletedReplicatedBackupIsCopied(t *testing.T) {
	f := signedIn(t)
	job, datasource, storage := f.job("orders")
	plain := f.completed(job, datasource, storage)
	require.Contains(t, f.call("POST", "/api/executions/"+plain+"/retry-upload", nil).problem(http.StatusConflict).Detail, "replicate")
	f.call("POST", "/api/executions/"+job+"/retry-upload", nil).problem(http.StatusNotFound)
}

func TestARestoreReadsTheCopyThatIsAskedForOrTheBest(t *testing.T) {
	f := signedIn(t)
	f.starts()
	backup, second := f.replicatedBackup()
	target := f.call("POST", "/api/datasources", datasourceBody("staging")).ok(201).get("id").(string)
	path, body := "/api/backups/"+backup+"/restore", object{"target_datasource_id": target, "confirmation_phrase": "RESTORE staging"}
	require.Contains(t, f.call("POST", path, with(body, second, "storage_location_id")).wrong("storage_location_id"), "holds no copy")
	require.NoError(t, f.db.PutReplica(t.Context(), db.Replica{ExecutionID: backup, StorageLocationID: second, ManifestPath: "orders/manifest.json"}))

	asked := f.call("POST", path, with(body, second, "storage_location_id")).ok(202)
	require.Equal(t, second, asked.get("storage_location_id"))
	require.Equal(t, second, asked.get("metadata", "restore", "storage_location_id"))
	f.finish(asked.get("id").(string))
	best := f.call("POST", path, body).ok(202)
	require.NotEqual(t, second, best.get("storage_location_id"))
	require.NotContains(t, best.get("metadata", "restore"), "storage_location_id")

	stored := f.call("GET", "/api/backups/datasources", nil).ok(200).get("items").([]any)[1].(object)["last_backup"].(object)["stored_at"].([]any)
	require.Len(t, stored, 2)
	require.Equal(t, []any{true, false}, []any{stored[0].(object)["primary"], stored[1].(object)["primary"]})
	f.call("PATCH", "/api/storage-locations/"+asked.get("storage_location_id").(string), object{"enabled": false}).ok(200)
	require.Contains(t, f.call("POST", path, with(body, second, "storage_location_id")).problem(http.StatusConflict).Detail, "disabled")
}
