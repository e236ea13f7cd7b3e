package api

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestARunStartsTheBackupWorkflow(t *testing.T) {
	f := signedIn(t)
	started := f.starts()
	job, datasource, storage := f.job("orders")
	answer := f.call("POST", "/api/backup-jobs/"+job+"/run", object{"backup_options": object{"verify": "full"}}).ok(202)
	id := answer.get("id").(string)
	require.Equal(t, "queued", answer.get("status"))
	require.Equal(t, []any{job, datasource, storage}, []any{answer.get("job_id"), answer.get("datasource_id"), answer.get("storage_location_id")})
	require.Equal(t, "full", answer.get("metadata", "options", "verify"))
	require.Equal(t, "zstd", answer.get("metadata", "options", "compression"), "the rest is as in the job")
	require.Equal(t, ownerEmail, answer.get("metadata", "actor"))
	require.Equal(t, "http://temporal.example/namespaces/default/workflows/backup-"+id, answer.get("metadata", "temporal_url"))
	require.Equal(t, "/api/executions/"+id, answer.header.Get("Location"))

	options := f.temporal.Calls[0].Arguments[1].(client.StartWorkflowOptions)
	require.Equal(t, contract.BackupWorkflowID(id), options.ID)
	require.Equal(t, "dataguardian.default", options.TaskQueue)
	require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, options.WorkflowIDReusePolicy)
	require.Equal(t, "Back up orders to orders", options.StaticSummary)
	operation, _ := options.TypedSearchAttributes.GetKeyword(contract.SearchOperation)
	require.Equal(t, "backup", operation)
	require.Equal(t, "Backup", f.temporal.Calls[0].Arguments[2])
	input := f.temporal.Calls[0].Arguments[3].(contract.ExecutionInput)
	require.Equal(t, contract.ExecutionInput{ExecutionID: id, Labels: contract.Labels{Job: "orders", Datasource: "orders", Storage: "orders"}}, input)
	require.Len(t, f.audits("backup_job.run"), 1)

	p := f.call("POST", "/api/backup-jobs/"+job+"/run", nil).problem(http.StatusConflict)
	require.Equal(t, id, p.ExecutionID)
	require.Contains(t, p.Detail, id)
	require.Len(t, f.audits("backup_job.run"), 1, "a refused run leaves no entry")
	started.Unset()
}

func TestARunMayBeOfAnotherTypeThanTheJob(t *testing.T) {
	f := signedIn(t)
	started := f.starts()
	job, _, _ := f.job("orders")
	answer := f.call("POST", "/api/backup-jobs/"+job+"/run", object{"backup_options": object{"backup_type": "differential", "full_every": 3}}).ok(202)
	require.Equal(t, "differential", answer.get("backup_type"))
	require.Equal(t, "differential", answer.get("metadata", "options", "backup_type"))
	require.InDelta(t, 3, answer.get("metadata", "options", "full_every"), 0)
	require.Nil(t, answer.get("parent_execution_id"), "what it builds on is chosen when it begins")
	require.Equal(t, "full", f.call("GET", "/api/backup-jobs/"+job, nil).ok(200).get("backup_options", "backup_type"))
	started.Unset()
}

func TestARunThatCanNotBe(t *testing.T) {
	f := signedIn(t)
	job, datasource, _ := f.job("orders")
	run := "/api/backup-jobs/" + job + "/run"
	f.call("POST", run, object{"backup_options": object{"backup_type": "sometimes"}}).wrong("backup_options.backup_type")
	f.call("POST", run, object{"backup_options": object{"full_every": -1}}).wrong("backup_options.full_every")
	f.call("POST", run, object{"options": object{}}).wrong("options")
	f.call("PATCH", "/api/datasources/"+datasource, object{"enabled": false}).ok(200)
	require.Contains(t, f.call("POST", run, nil).problem(http.StatusConflict).Detail, "disabled")
	require.Empty(t, f.call("GET", "/api/executions", nil).ok(200).get("items"))
}

func TestARunWithoutTemporalIsClosedWithTheReason(t *testing.T) {
	f := signedIn(t)
	f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, errors.New("connection refused"))
	f.temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "").Return(nil, errors.New("connection refused"))
	job, _, _ := f.job("orders")
	p := f.call("POST", "/api/backup-jobs/"+job+"/run", nil).problem(http.StatusServiceUnavailable)
	require.Contains(t, p.Detail, "Temporal can not be reached")
	row := f.call("GET", "/api/executions/"+p.ExecutionID, nil).ok(200)
	require.Equal(t, "failed", row.get("status"))
	require.Contains(t, row.get("error_message"), "connection refused")
}

func TestALostAnswerOfTemporalFailsNothing(t *testing.T) {
	lost := serviceerror.NewDeadlineExceeded("deadline exceeded")
	for name, c := range map[string]struct {
		begun    bool
		describe *workflowservice.DescribeWorkflowExecutionResponse
		unknown  error
		status   string
	}{
		"when Temporal knows the workflow":                    {describe: &workflowservice.DescribeWorkflowExecutionResponse{}, status: "queued"},
		"when a worker began it and Temporal does not answer": {begun: true, unknown: lost, status: "running"},
	} {
		t.Run(name, func(t *testing.T) {
			f := signedIn(t)
			job, _, _ := f.job("orders")
			f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).
				Run(func(args mock.Arguments) {
					if in := args.Get(3).(contract.ExecutionInput); c.begun {
						_, err := f.db.BeginExecution(context.Background(), in.ExecutionID, contract.BackupWorkflowID(in.ExecutionID), "run")
						require.NoError(t, err)
					}
				}).Return(nil, lost)
			f.temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "").Return(c.describe, c.unknown)
			answer := f.call("POST", "/api/backup-jobs/"+job+"/run", nil).ok(http.StatusAccepted)
			require.Equal(t, c.status, answer.get("status"))
			id := answer.get("id").(string)
			require.Equal(t, c.status, f.call("GET", "/api/executions/"+id, nil).ok(200).get("status"))
		})
	}
}

func TestCancel(t *testing.T) {
	f := signedIn(t)
	f.starts()
	job, _, _ := f.job("orders")
	run := func() string {
		return f.call("POST", "/api/backup-jobs/"+job+"/run", nil).ok(202).get("id").(string)
	}
	t.Run("a running workflow is asked to stop", func(t *testing.T) {
		id := run()
		asked := f.temporal.On("CancelWorkflow", mock.Anything, contract.BackupWorkflowID(id), "").Return(nil)
		require.Equal(t, "queued", f.call("POST", "/api/executions/"+id+"/cancel", nil).ok(202).get("status"))
		f.temporal.AssertCalled(t, "CancelWorkflow", mock.Anything, contract.BackupWorkflowID(id), "")
		asked.Unset()
		f.temporal.On("CancelWorkflow", mock.Anything, contract.BackupWorkflowID(id), "").Return(serviceerror.NewUnavailable("down")).Once()
		f.call("POST", "/api/executions/"+id+"/cancel", nil).problem(http.StatusServiceUnavailable)
		f.temporal.On("CancelWorkflow", mock.Anything, contract.BackupWorkflowID(id), "").Return(serviceerror.NewNotFound("no workflow")).Once()
		require.Equal(t, "cancelled", f.call("POST", "/api/executions/"+id+"/cancel", nil).ok(202).get("status"), "nobody else would close it")
		f.call("POST", "/api/executions/"+id+"/cancel", nil).problem(http.StatusConflict)
		require.Len(t, f.audits("execution.cancel"), 3)
	})
}

func TestConnectionTests(t *testing.T) {
	f := signedIn(t)
	_, datasource, _ := f.job("orders")
	path := "/api/datasources/" + datasource + "/test"
	expect := func(get func(context.Context, any) error) {
		f.temporal.ExpectedCalls = nil
		run := &mocks.WorkflowRun{}
		run.On("Get", mock.Anything, mock.Anything).Return(get)
		f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(run, nil)
	}
	forever := func(ctx context.Context, _ any) error { <-ctx.Done(); return ctx.Err() }
	pollers := func(found ...*taskqueuepb.PollerInfo) {
		f.temporal.On("DescribeTaskQueue", mock.Anything, "dataguardian.default", mock.Anything).
			Return(&workflowservice.DescribeTaskQueueResponse{Pollers: found}, nil)
	}
	t.Run("a failed test is a good answer", func(t *testing.T) {
		expect(func(_ context.Context, out any) error {
			*out.(*contract.CheckResult) = contract.CheckResult{Status: domain.HealthAuthFailed, Message: "refused", Hint: "check the password"}
			return nil
		})
		answer := f.call("POST", path, nil).ok(200)
		require.Equal(t, "auth_failed", answer.get("status"))
		require.Equal(t, "check the password", answer.get("hint"))
		require.Len(t, f.audits("datasource.test"), 1)
	})
	t.Run("a pool without workers is told", func(t *testing.T) {
		expect(forever)
		pollers()
		require.Contains(t, f.call("POST", path, nil).problem(503).Detail, "No worker serves pool default")
	})
	t.Run("a test that takes too long is told", func(t *testing.T) {
		expect(forever)
		pollers(&taskqueuepb.PollerInfo{})
		require.Contains(t, f.call("POST", path, nil).problem(504).Detail, "did not end within")
	})
	t.Run("a workflow that fails is told", func(t *testing.T) {
		expect(func(context.Context, any) error { return errors.New("boom password=hunter22") })
		require.NotContains(t, f.call("POST", path, nil).problem(502).Detail, "hunter22")
	})
}

func TestRestore(t *testing.T) {
	f := signedIn(t)
	f.starts()
	job, datasource, storage := f.job("orders")
	backup := f.completed(job, datasource, storage)
	target := f.call("POST", "/api/datasources", datasourceBody("staging")).ok(201).get("id").(string)
	far := f.call("POST", "/api/datasources", with(datasourceBody("far"), "site-b", "pool")).ok(201).get("id").(string)
	path := "/api/backups/" + backup + "/restore"
	good := object{"target_datasource_id": target, "confirmation_phrase": "RESTORE staging"}

	for name, tc := range map[string]struct {
		body     object
		location string
		says     string
	}{
		"without the phrase":                  {with(good, "", "confirmation_phrase"), "confirmation_phrase", "RESTORE staging"},
		"with the phrase in lower case":       {with(good, "restore staging", "confirmation_phrase"), "confirmation_phrase", "RESTORE staging"},
		"verification with the wrong phrase":  {with(good, true, "verification_mode"), "confirmation_phrase", "VERIFY RESTORE"},
		"into another pool":                   {with(with(good, far, "target_datasource_id"), "RESTORE far", "confirmation_phrase"), "target_datasource_id", "pool site-b"},
		"into nothing":                        {with(good, backup, "target_datasource_id"), "target_datasource_id", "there is no datasource"},
		"from a storage where it is not":      {with(good, backup, "storage_location_id"), "storage_location_id", "holds no copy of this backup"},
		"of a table without a name":           {with(good, []string{" "}, "include_tables"), "include_tables", "empty name"},
		"with globals of one database":        {with(good, true, "restore_globals"), "restore_globals", "one database"},
		"keeping a database without checking": {with(good, true, "keep_verification_database"), "keep_verification_database", "verification_mode"},
	} {
		t.Run("is refused "+name, func(t *testing.T) {
			f := *f
			f.t = t
			require.Contains(t, f.call("POST", path, tc.body).wrong(tc.location), tc.says)
		})
	}
	f.temporal.AssertNotCalled(t, "ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything)

	chosen := f.call("POST", path, with(good, []string{"a", "b*"}, "include_tables")).ok(202)
	require.Equal(t, []any{"a", "b*"}, chosen.get("metadata", "restore", "include_tables"))
	f.finish(chosen.get("id").(string))
	f.temporal.Calls = nil
	answer := f.call("POST", path, good).ok(202)
	require.Equal(t, "restore", answer.get("metadata", "operation"))
	require.Equal(t, "orders", answer.get("metadata", "restore", "target_database"), "the target's own database is the default")
	require.Nil(t, answer.get("job_id"))
	id := answer.get("id").(string)
	require.Equal(t, contract.RestoreWorkflowID(id), f.temporal.Calls[0].Arguments[1].(client.StartWorkflowOptions).ID)
	require.Len(t, f.audits("backup.restore"), 2)
	f.call("POST", "/api/backups/"+id+"/restore", good).problem(http.StatusConflict)

	t.Run("one who may only verify may not restore", func(t *testing.T) {
		verifier := f.as(auth.BackupsRestoreVerify)
		verifier.t = t
		verifier.call("POST", path, good).problem(http.StatusForbidden)
		verifier.call("POST", path, object{"target_datasource_id": target, "verification_mode": true, "confirmation_phrase": "VERIFY RESTORE"}).ok(202)
	})
	t.Run("the backup is listed as restorable", func(t *testing.T) {
		listed := f.call("GET", "/api/backups/datasources/"+datasource, nil).ok(200).get("items").([]any)
		require.Len(t, listed, 1)
		require.Equal(t, backup, listed[0].(object)["execution_id"])
		require.Equal(t, "orders", listed[0].(object)["stored_at"].([]any)[0].(object)["name"])
		require.Len(t, f.call("GET", "/api/backups/datasources", nil).ok(200).get("items"), 3)
		require.Len(t, f.call("GET", "/api/backups/restore-targets", nil).ok(200).get("items"), 3)
	})
}
