package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// CheckResult is the outcome of one connection test. A failed test is a good answer.
type CheckResult struct {
	Status        domain.HealthCheckStatus `json:"status" enum:"ok,timeout,auth_failed,unreachable,error"`
	LatencyMS     int64                    `json:"latency_ms"`
	ServerVersion string                   `json:"server_version,omitempty"`
	Message       string                   `json:"message,omitempty" doc:"What went wrong"`
	Hint          string                   `json:"hint,omitempty" doc:"What to do about it"`
	AvailableGB   *float64                 `json:"available_space_gb,omitempty" doc:"Storage locations: free space in units of 10^9 bytes"`
	HostKey       string                   `json:"host_key,omitempty" doc:"SSH without host_key: what the server shows, to be confirmed and sent as host_key"`

	HostKeyFingerprint string `json:"host_key_fingerprint,omitempty" doc:"Of host_key, to be compared with the server's own"`
}

// JobCheckResult is the test of both ends of a backup job.
type JobCheckResult struct {
	Status          domain.HealthCheckStatus `json:"status" enum:"ok,timeout,auth_failed,unreachable,error" doc:"ok when both are, else that of the first that is not"`
	Datasource      CheckResult              `json:"datasource"`
	StorageLocation CheckResult              `json:"storage_location"`
}

// mayTest: who may change a thing may test it, and so may who runs backups.
func mayTest(write auth.Permission) access { return requires(write, auth.BackupJobsRun) }

func testOperation(kind, path string, tags []string) huma.Operation {
	return huma.Operation{
		OperationID: "test-" + kind, Method: http.MethodPost, Path: path + "/{id}/test", Tags: tags,
		Summary:     "Test the connection now",
		Description: "A worker of its pool connects. 200 with status tells the outcome, good or bad; 503 when no worker serves the pool.",
		Errors:      []int{http.StatusNotFound, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout},
	}
}

func (s *server) testDatasource(ctx context.Context, in *ByID) (*body[CheckResult], error) {
	row, err := s.db.GetDatasource(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "datasource", in.ID)
	}
	if err := s.announceTest(ctx, "datasource", row.ID); err != nil {
		return nil, err
	}
	result, err := s.checkDatasource(ctx, row)
	return &body[CheckResult]{result}, err
}

func (s *server) testStorageLocation(ctx context.Context, in *ByID) (*body[CheckResult], error) {
	row, err := s.db.GetStorageLocation(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "storage location", in.ID)
	}
	if err := s.announceTest(ctx, "storage_location", row.ID); err != nil {
		return nil, err
	}
	result, err := s.checkStorage(ctx, row)
	return &body[CheckResult]{result}, err
}

func (s *server) testBackupJob(ctx context.Context, in *ByID) (*body[JobCheckResult], error) {
	_, datasource, storage, err := loadJob(ctx, s.db.Queries, in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.announceTest(ctx, "backup_job", in.ID); err != nil {
		return nil, err
	}
	var result JobCheckResult
	if result.Datasource, err = s.checkDatasource(ctx, datasource); err != nil {
		return nil, err
	}
	if result.StorageLocation, err = s.checkStorage(ctx, storage); err != nil {
		return nil, err
	}
	result.Status = result.Datasource.Status
	if result.Status == domain.HealthOK {
		result.Status = result.StorageLocation.Status
	}
	return &body[JobCheckResult]{result}, nil
}

// announceTest comes before a test, which reaches a server, and writes a probe where it tests a storage location.
func (s *server) announceTest(ctx context.Context, resource, id string) error {
	return s.announce(ctx, audited(ctx, resource+".test", resource, id, nil))
}

func (s *server) checkDatasource(ctx context.Context, row db.Datasource) (CheckResult, error) {
	return s.check(ctx, contract.CheckDatasource, row.Pool, client.StartWorkflowOptions{
		ID:            contract.CheckDatasourceWorkflowID(uuid.NewString()),
		StaticSummary: "Test datasource " + row.Name,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			contract.SearchOperation.ValueSet("test"), contract.SearchDatasource.ValueSet(row.Name)),
	}, contract.CheckInput{ID: row.ID, Labels: contract.Labels{Datasource: row.Name}})
}

func (s *server) checkStorage(ctx context.Context, row db.StorageLocation) (CheckResult, error) {
	return s.check(ctx, contract.CheckStorage, row.Pool, client.StartWorkflowOptions{
		ID:            contract.CheckStorageWorkflowID(uuid.NewString()),
		StaticSummary: "Test storage location " + row.Name,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			contract.SearchOperation.ValueSet("test"), contract.SearchStorage.ValueSet(row.Name)),
	}, contract.CheckInput{ID: row.ID, Labels: contract.Labels{Storage: row.Name}})
}

// noWorkerAfter is how long a test may wait before it is asked whether anybody serves the pool at
// all: long enough for a worker that is just starting.
const noWorkerAfter = 5 * time.Second

// check runs a test workflow and waits for it. The workflow ends by itself soon after the wait.
func (s *server) check(ctx context.Context, handle contract.Workflow[contract.CheckInput, contract.CheckResult],
	pool string, options client.StartWorkflowOptions, input contract.CheckInput,
) (CheckResult, error) {
	options.TaskQueue = contract.TaskQueue(pool)
	options.WorkflowExecutionTimeout = s.opts.TestTimeout
	starting, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	run, err := handle.Start(starting, s.temporal, options, input)
	if err != nil {
		return CheckResult{}, s.temporalDown(ctx, "start the test", err)
	}
	result, err := awaitRun[contract.CheckResult](ctx, s, run, pool)
	if err != nil {
		return CheckResult{}, err
	}
	return viewCheck(result, input.Labels.Storage != ""), nil
}

func viewCheck(result contract.CheckResult, isStorage bool) CheckResult {
	out := CheckResult{
		Status: result.Status, LatencyMS: result.LatencyMS, ServerVersion: result.Version, Message: result.Message, Hint: result.Hint,
		HostKey: result.HostKey, HostKeyFingerprint: result.HostKeyFingerprint,
	}
	if isStorage && result.AvailableBytes > 0 {
		free := float64(result.AvailableBytes) / 1e9
		out.AvailableGB = &free
	}
	return out
}

// awaitRun waits for the result of a workflow of a pool, as long as a test may take.
func awaitRun[T any](ctx context.Context, s *server, run client.WorkflowRun, pool string) (T, error) {
	var result T
	first := min(noWorkerAfter, s.opts.TestTimeout)
	err := getWithin(ctx, run, first, &result)
	if isTimeout(err) && ctx.Err() == nil {
		if s.poolIsEmpty(ctx, pool) {
			return result, noWorker(pool)
		}
		err = getWithin(ctx, run, s.opts.TestTimeout-first, &result)
	}
	switch {
	case err == nil:
		return result, nil
	case ctx.Err() != nil:
		return result, ctx.Err()
	case isTimeout(err):
		return result, problem.New(http.StatusGatewayTimeout, fmt.Sprintf(
			"It did not end within %s. The workers of pool %s may be busy; look at the workflow in Temporal and try again.", s.opts.TestTimeout, pool))
	default:
		s.log.WarnContext(ctx, "a workflow that was waited for failed", "error", err)
		return result, problem.New(http.StatusBadGateway, "It could not be run: "+failure.Redact(err.Error())+".")
	}
}

// deadlineSkew is by how much Temporal's server may be ahead in seeing a deadline pass.
const deadlineSkew = 500 * time.Millisecond

func getWithin(ctx context.Context, run client.WorkflowRun, wait time.Duration, result any) error {
	waiting, stop := context.WithTimeout(ctx, wait)
	defer stop()
	err := run.Get(waiting, result)
	var failed *temporal.WorkflowExecutionError
	if err == nil || ctx.Err() != nil || errors.As(err, &failed) {
		return err
	}
	// The SDK wraps the end of the wait in errors of its own, depending on where it met it. And Temporal's
	// server knows the deadline too: it may end the call a moment before the deadline passes here.
	if deadline, _ := waiting.Deadline(); time.Until(deadline) < deadlineSkew {
		return context.DeadlineExceeded
	}
	return err
}

func isTimeout(err error) bool {
	var timeout *temporal.TimeoutError
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout)
}

// poolIsEmpty reports whether Temporal knows of no worker that polls for the pool. When it can not
// be asked, that is not known, and the answer is no.
func (s *server) poolIsEmpty(ctx context.Context, pool string) bool {
	asking, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	found, err := s.temporal.DescribeTaskQueue(asking, contract.TaskQueue(pool), enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	return err == nil && len(found.GetPollers()) == 0
}

func noWorker(pool string) error {
	return problem.New(http.StatusServiceUnavailable, fmt.Sprintf(
		"No worker serves pool %s. Start one with: dataguardian worker --pools %s", pool, pool))
}

// temporalDown is the answer when Temporal does not take a request.
func (s *server) temporalDown(ctx context.Context, doing string, err error) error {
	s.log.ErrorContext(ctx, "Temporal did not answer", "doing", doing, "error", err)
	return problem.New(http.StatusServiceUnavailable, fmt.Sprintf(
		"Could not %s: Temporal can not be reached or refused it (%s). Check that the Temporal server is running, then try again.",
		doing, failure.Redact(err.Error())))
}
