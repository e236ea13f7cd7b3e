package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

type runBody struct {
	BackupOptions *Patch[domain.BackupOptions] `json:"backup_options,omitempty" doc:"For this run only; what is left out is as in the job"`
}

type runInput struct {
	ID   string   `path:"id" format:"uuid" doc:"Its id"`
	Body *runBody `required:"false"`
}

type accepted struct {
	Location string `header:"Location"`
	Body     Execution
}

func runOperation(path string, tags []string) huma.Operation {
	return huma.Operation{
		OperationID: "run-backup-job", Method: http.MethodPost, Path: path + "/{id}/run", Tags: tags,
		Summary:       "Back up now",
		Description:   "Answers at once with the queued execution; follow it at /api/executions/{id}/events. One backup of a job runs at a time: 409 names the active one.",
		DefaultStatus: http.StatusAccepted,
		Errors:        []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}
}

func (s *server) runBackupJob(ctx context.Context, in *runInput) (*accepted, error) {
	job, datasource, storage, err := loadJob(ctx, s.db.Queries, in.ID)
	if err != nil {
		return nil, err
	}
	if err := runnable(datasource, storage); err != nil {
		return nil, err
	}
	options := job.BackupOptions
	if in.Body != nil && in.Body.BackupOptions != nil {
		if err := in.Body.BackupOptions.ApplyTo(&options); err != nil {
			return nil, err
		}
		if err := unmaskOptions(&options, job.BackupOptions).Under("backup_options").OrNil(); err != nil {
			return nil, err
		}
	}
	if !reflect.DeepEqual(options.Hooks, job.BackupOptions.Hooks) {
		return nil, invalidField("backup_options.hooks", "can not be changed for one run; change them in the job")
	}
	if !reflect.DeepEqual(options.ReferencedFiles, job.BackupOptions.ReferencedFiles) {
		return nil, invalidField("backup_options.referenced_files", "can not be changed for one run; change them in the job")
	}
	if options.HeartbeatURL != job.BackupOptions.HeartbeatURL {
		return nil, invalidField("backup_options.heartbeat_url", "can not be changed for one run; change it in the job")
	}
	job.BackupOptions = options
	return s.startBackup(ctx, backupStart{
		job: job, datasource: datasource, storage: storage,
		trigger: domain.TriggerManual, action: "backup_job.run", resource: "backup_job", resourceID: job.ID,
	})
}

// backupStart is a backup that somebody asks for: the job with the options of this run, both its ends,
// and how the audit trail tells it.
type backupStart struct {
	job                          db.BackupJob
	datasource                   db.Datasource
	storage                      db.StorageLocation
	trigger                      domain.Trigger
	action, resource, resourceID string
}

func (s *server) startBackup(ctx context.Context, b backupStart) (*accepted, error) {
	if err := runnable(b.datasource, b.storage); err != nil {
		return nil, err
	}
	options := b.job.BackupOptions
	options.Normalize()
	if err := options.Validate().Under("backup_options").OrNil(); err != nil {
		return nil, err
	}
	b.job.BackupOptions = options
	if err := s.db.InTx(ctx, func(q *db.Queries) error { return checkEnds(ctx, q, b.job) }); err != nil {
		return nil, err
	}
	execution, err := s.newExecution(ctx, contract.BackupWorkflowID)
	if err != nil {
		return nil, err
	}
	execution.JobID, execution.DatasourceID, execution.StorageLocationID = &b.job.ID, &b.datasource.ID, &b.storage.ID
	execution.BackupType = options.BackupType
	execution.Metadata.Operation, execution.Metadata.Options, execution.Metadata.Trigger = domain.OperationBackup, &options, b.trigger
	return s.launch(ctx, execution, launch{
		workflow: contract.Backup, pool: b.storage.Pool,
		labels:  contract.Labels{Job: b.job.Name, Datasource: b.datasource.Name, Storage: b.storage.Name},
		summary: fmt.Sprintf("Back up %s to %s", b.datasource.Name, b.storage.Name),
		details: fmt.Sprintf("Job %s, started by %s.", b.job.Name, execution.Metadata.Actor),
		action:  b.action, resource: b.resource, resourceID: b.resourceID,
	})
}

// newExecution is a queued execution with an id, so that its workflow can be named before it
// exists.
func (s *server) newExecution(ctx context.Context, workflowID func(string) string) (db.Execution, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return db.Execution{}, fmt.Errorf("make an execution id: %w", err)
	}
	execution := db.Execution{ID: id.String(), Status: domain.Queued, Generation: domain.ID8(id.String())}
	execution.Metadata = domain.ExecutionMetadata{
		Trigger: domain.TriggerManual, Actor: principalOf(ctx).User.Email,
		WorkflowID: workflowID(id.String()),
	}
	execution.Metadata.TemporalURL = s.temporalURL(execution.Metadata.WorkflowID)
	return execution, nil
}

// launch is how the workflow of an execution is started and audited.
type launch struct {
	workflow                     contract.Workflow[contract.ExecutionInput, contract.ExecutionResult]
	pool                         string
	labels                       contract.Labels
	summary, details             string
	action, resource, resourceID string

	// irreversible is set for what may need an approval, of the id approvalID.
	irreversible *irreversible
	approvalID   string
}

// launch writes the execution with its audit entry, then starts the workflow. The order matters:
// nothing is written while Temporal is away, the row is there before any worker looks for it, and when Temporal goes in between
// the row says so. The start does not end with the client's connection.
func (s *server) launch(ctx context.Context, execution db.Execution, l launch) (*accepted, error) {
	if err := s.temporalAnswers(ctx, "start the workflow"); err != nil {
		return nil, err
	}
	changes := map[string]any{}
	err := s.db.InTx(ctx, func(q *db.Queries) error {
		if restore := execution.Metadata.Restore; restore != nil {
			if err := q.HoldBackup(ctx, restore.SourceExecutionID); err != nil {
				return err
			}
		}
		created, err := q.CreateExecution(ctx, execution)
		if err != nil {
			return err
		}
		execution = created
		changes["execution_id"], changes["options"], changes["restore"] = execution.ID, execution.Metadata.Options, execution.Metadata.Restore
		if l.irreversible != nil {
			if err := approved(ctx, q, l.approvalID, *l.irreversible, changes); err != nil {
				return err
			}
		}
		if err := refuseRival(ctx, q, execution); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, l.action, l.resource, l.resourceID, changes))
	})
	if errors.Is(err, db.ErrActiveExecution) {
		return nil, s.alreadyActive(ctx, execution)
	}
	if err != nil {
		return nil, s.orAsk(ctx, err)
	}
	// From here on the row exists and must end truly, whether or not the client still waits.
	lasting := context.WithoutCancel(ctx)
	if err := s.start(lasting, execution, l); err != nil {
		if execution, err = s.closeUnstarted(lasting, execution, changes, err); err != nil {
			return nil, err
		}
	}
	return &accepted{Location: "/api/executions/" + execution.ID, Body: viewExecution(execution)}, nil
}

// refuseRival refuses a restore into what another one is about to write: whichever came last would win.
func refuseRival(ctx context.Context, q *db.Queries, execution db.Execution) error {
	if execution.Metadata.Restore == nil {
		return nil
	}
	rival, err := q.RestoreRival(ctx, *execution.Metadata.Restore, execution.ID)
	if err != nil || rival == "" {
		return err
	}
	p := problem.New(http.StatusConflict, fmt.Sprintf("Restore %s is writing the same target; wait for it or cancel it.", rival))
	p.ExecutionID = rival
	return p
}

func (s *server) start(ctx context.Context, execution db.Execution, l launch) error {
	attributes := []temporal.SearchAttributeUpdate{
		contract.SearchOperation.ValueSet(string(execution.Metadata.Operation)),
		contract.SearchDatasource.ValueSet(l.labels.Datasource),
		contract.SearchStorage.ValueSet(l.labels.Storage),
	}
	if l.labels.Job != "" {
		attributes = append(attributes, contract.SearchJob.ValueSet(l.labels.Job))
	}
	ctx, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	_, err := l.workflow.Start(ctx, s.temporal, client.StartWorkflowOptions{
		ID:                                       execution.Metadata.WorkflowID,
		TaskQueue:                                contract.TaskQueue(l.pool),
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		TypedSearchAttributes:                    temporal.NewSearchAttributes(attributes...),
		StaticSummary:                            l.summary,
		StaticDetails:                            l.details,
	}, contract.ExecutionInput{ExecutionID: execution.ID, Labels: l.labels})
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return nil // our own request, repeated by the SDK after a lost answer: the id is new
	}
	return err
}

// closeUnstarted records that Temporal did not take the execution, and returns that as an error. A
// request may have arrived although its answer did not: when Temporal knows the workflow or a
// worker has begun it, the execution goes on and is returned as it is now. One that arrives later
// finds a finished row and ends.
func (s *server) closeUnstarted(ctx context.Context, execution db.Execution, changes map[string]any, cause error) (db.Execution, error) {
	if s.wasStarted(ctx, execution.Metadata.WorkflowID) {
		return s.execution(ctx, execution.ID)
	}
	closed, err := s.closeUnbegun(ctx, changes, func(q *db.Queries) (bool, error) {
		return q.FinishWhile(ctx, execution.ID, domain.Queued, unstarted(cause))
	})
	if err != nil {
		return execution, errors.Join(fmt.Errorf("close execution %s: %w", execution.ID, err), cause)
	}
	if !closed {
		return s.execution(ctx, execution.ID)
	}
	down := s.temporalDown(ctx, "start the workflow", cause)
	var p *problem.Problem
	if errors.As(down, &p) {
		p.ExecutionID = execution.ID
	}
	return execution, down
}

// unstarted is the end of what Temporal did not start.
func unstarted(cause error) db.Finish {
	return db.Finish{
		Status: domain.Failed, ErrorMessage: "Temporal did not start the workflow: " + failure.Redact(cause.Error()),
		FailureClass: string(failure.Unreachable), Hint: "Check that the Temporal server is running, then run it again.",
	}
}

// wasStarted asks Temporal whether it has the workflow. No answer is no.
func (s *server) wasStarted(ctx context.Context, workflowID string) bool {
	ctx, stop := context.WithTimeout(ctx, describeTimeout)
	defer stop()
	_, err := s.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	return err == nil
}

func (s *server) alreadyActive(ctx context.Context, execution db.Execution) error {
	p := problem.New(http.StatusConflict, "A backup of this job is queued or running; wait for it or cancel it.")
	for _, status := range []domain.ExecutionStatus{domain.Running, domain.Queued} {
		active, _, err := s.db.ListExecutions(ctx, db.ExecutionFilter{
			JobID: *execution.JobID, Operation: domain.OperationBackup, Status: status,
		}, db.Page{Limit: 1})
		if err != nil {
			return err
		}
		if len(active) > 0 {
			p.ExecutionID = active[0].ID
			p.Detail = fmt.Sprintf("Execution %s of this job is %s; wait for it or cancel it.", active[0].ID, active[0].Status)
			return p
		}
	}
	return p
}

// loadJob reads a job with both its ends.
func loadJob(ctx context.Context, q *db.Queries, id string) (db.BackupJob, db.Datasource, db.StorageLocation, error) {
	job, err := q.GetBackupJob(ctx, id)
	if err != nil {
		return job, db.Datasource{}, db.StorageLocation{}, missing(err, "backup job", id)
	}
	datasource, err := q.GetDatasource(ctx, job.DatasourceID)
	if err != nil {
		return job, datasource, db.StorageLocation{}, err
	}
	storage, err := q.GetStorageLocation(ctx, job.StorageLocationID)
	return job, datasource, storage, err
}

// runnable refuses work on what is switched off, or what no worker reaches both ends of.
func runnable(datasource db.Datasource, storage db.StorageLocation) error {
	switch {
	case !datasource.Enabled:
		return problem.New(http.StatusConflict, fmt.Sprintf("Datasource %q is disabled; enable it first.", datasource.Name))
	case !storage.Enabled:
		return problem.New(http.StatusConflict, fmt.Sprintf("Storage location %q is disabled; enable it first.", storage.Name))
	case datasource.Pool != storage.Pool:
		return problem.New(http.StatusUnprocessableEntity, "Not possible: "+poolsDiffer(datasource, storage)+".")
	}
	return nil
}

// temporalURL is the page of a workflow in the Temporal web UI, "" where no UI is known. The
// worker replaces it by the page of the run once there is one.
func (s *server) temporalURL(workflowID string) string {
	if s.opts.TemporalUIURL == "" {
		return ""
	}
	return strings.TrimRight(s.opts.TemporalUIURL, "/") + "/namespaces/" + url.PathEscape(s.opts.Namespace) + "/workflows/" + url.PathEscape(workflowID)
}
