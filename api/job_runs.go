package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/reconcile"
)

// JobRun is one run of a sync job or a drill job as clients see it.
type JobRun struct {
	ID                 string                 `json:"id" format:"uuid"`
	JobID              *string                `json:"job_id" doc:"null when the job is gone"`
	BackupExecutionID  *string                `json:"backup_execution_id" doc:"The backup: of a sync the one it made, of a drill the one it proves"`
	RestoreExecutionID *string                `json:"restore_execution_id" doc:"Follow it at /api/executions/{id} for its progress and log"`
	Status             domain.ExecutionStatus `json:"status" enum:"queued,running,completed,failed,cancelled"`
	StartedAt          *time.Time             `json:"started_at"`
	FinishedAt         *time.Time             `json:"finished_at"`
	ErrorMessage       string                 `json:"error_message"`
	Metadata           domain.RunMetadata     `json:"metadata"`
	CreatedAt          time.Time              `json:"created_at"`
}

// runKind is all that tells the runs of sync jobs from those of drill jobs.
type runKind struct {
	kind       db.RunKind
	name       string // for people: "sync"
	path, tag  string
	workflow   contract.Workflow[contract.RunInput, contract.RunResult]
	workflowID func(string) string
	read, run  auth.Permission
}

var (
	syncRuns = runKind{
		kind: db.RunSync, name: "sync", path: "/api/db-sync-executions", tag: "Sync jobs",
		workflow: contract.Sync, workflowID: contract.SyncWorkflowID, read: auth.DBSyncJobsRead, run: auth.DBSyncJobsRun,
	}
	drillRuns = runKind{
		kind: db.RunDrill, name: "drill", path: "/api/restore-drill-executions", tag: "Restore drills",
		workflow: contract.RestoreDrill, workflowID: contract.DrillWorkflowID, read: auth.RestoreDrillJobsRead, run: auth.RestoreDrillJobsRun,
	}
)

type listRunsInput struct {
	Paging
	JobID  string    `query:"job_id" format:"uuid"`
	Status string    `query:"status" enum:"queued,running,completed,failed,cancelled"`
	From   time.Time `query:"from" doc:"Created at this time or later (RFC 3339)"`
	To     time.Time `query:"to" doc:"Created before this time (RFC 3339)"`
}

type acceptedRun struct {
	Location string `header:"Location"`
	Body     JobRun
}

// registerRuns adds what can be done with the runs of a kind.
func (s *server) registerRuns(k runKind) {
	read, tags, missingToo := requires(k.read), []string{k.tag}, []int{http.StatusNotFound}
	register(s, read, huma.Operation{
		OperationID: "list-" + k.name + "-executions", Method: http.MethodGet, Path: k.path, Tags: tags,
		Summary: "List the runs of " + k.name + " jobs", Description: "Without their logs.",
	}, func(ctx context.Context, in *listRunsInput) (*body[page[JobRun]], error) {
		filter := db.RunFilter{JobID: in.JobID, Status: domain.ExecutionStatus(in.Status), From: in.From, To: in.To}
		rows, next, err := s.db.ListRuns(ctx, k.kind, filter, in.page())
		if err != nil {
			return nil, err
		}
		return pageOf(rows, next, viewRun), nil
	})
	register(s, read, huma.Operation{
		OperationID: "get-" + k.name + "-execution", Method: http.MethodGet, Path: k.path + "/{id}", Tags: tags,
		Summary: "Get a run", Errors: missingToo,
	}, func(ctx context.Context, in *ByID) (*body[JobRun], error) {
		row, err := s.jobRun(ctx, k, in.ID)
		return &body[JobRun]{viewRun(row)}, err
	})
	register(s, read, huma.Operation{
		OperationID: "list-" + k.name + "-execution-logs", Method: http.MethodGet, Path: k.path + "/{id}/logs", Tags: tags,
		Summary: "Log of a run, oldest line first", Description: "Its backup and its restore have logs of their own.", Errors: missingToo,
	}, func(ctx context.Context, in *ByID) (*body[list[domain.LogLine]], error) {
		row, err := s.jobRun(ctx, k, in.ID)
		return &body[list[domain.LogLine]]{list[domain.LogLine]{append([]domain.LogLine{}, row.Metadata.ExecutionLogs...)}}, err
	})
	register(s, requires(k.run, auth.ExecutionsControl), huma.Operation{
		OperationID: "cancel-" + k.name + "-execution", Method: http.MethodPost, Path: k.path + "/{id}/cancel", Tags: tags,
		Summary: "Cancel a run", Description: "Its backup or restore is cancelled too. It ends when that has cleaned up.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}, func(ctx context.Context, in *ByID) (*acceptedRun, error) { return s.cancelRun(ctx, k, in.ID) })
	s.registerRunEvents(k)
}

func (s *server) registerRunEvents(k runKind) {
	operation := huma.Operation{
		OperationID: "follow-" + k.name + "-execution", Method: http.MethodGet, Path: k.path + "/{id}/events", Tags: []string{k.tag},
		Summary: "Follow a run (server-sent events)", Description: "As the events of an execution; the data of each is the run without its log. " + resumable,
		Errors: []int{http.StatusNotFound},
	}
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[JobRun](), true, "JobRun")
	operation.Responses = map[string]*huma.Response{"200": {
		Description: "A stream of events; data is a JobRun", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: schema}},
	}, "204": {Description: "The client has seen the end"}}
	register(s, requires(k.read), operation, func(ctx context.Context, in *followInput) (*huma.StreamResponse, error) {
		row, err := s.jobRun(ctx, k, in.ID)
		if err != nil {
			return nil, err
		}
		if in.seenToTheEnd(row.Status.Finished()) {
			return nothingMore(), nil
		}
		return &huma.StreamResponse{Body: func(out huma.Context) {
			err := s.follow(out.Context(), row.ID, k.read, newEventStream(out), func(ctx context.Context) (any, bool, error) {
				row, err := s.db.GetRun(ctx, k.kind, row.ID)
				row.Metadata.ExecutionLogs = nil
				return viewRun(row), row.Status.Finished(), err
			})
			if err != nil && out.Context().Err() == nil {
				s.log.WarnContext(out.Context(), "event stream ended early", "run", row.ID, "error", err)
			}
		}}, nil
	})
}

func (s *server) jobRun(ctx context.Context, k runKind, id string) (db.Run, error) {
	row, err := s.db.GetRun(ctx, k.kind, id)
	return row, missing(err, k.name+" execution", id)
}

// newRun is a queued run of a job by hand, with an id, so that its workflow can be named before it exists.
func (s *server) newRun(ctx context.Context, k runKind, jobID string) (db.Run, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return db.Run{}, fmt.Errorf("make the id of a run: %w", err)
	}
	run := db.Run{ID: id.String(), JobID: &jobID, Status: domain.Queued}
	run.Metadata = domain.RunMetadata{
		Trigger: domain.TriggerManual, Actor: principalOf(ctx).User.Email, WorkflowID: k.workflowID(id.String()),
	}
	run.Metadata.TemporalURL = s.temporalURL(run.Metadata.WorkflowID)
	return run, nil
}

// runLaunch is how the workflow of a run is started and audited.
type runLaunch struct {
	kind             runKind
	pool             string
	labels           contract.Labels
	summary          string
	action, resource string
	irreversible     *irreversible // what may need an approval, that of the context
}

// launchRun writes the run with its audit entry, then starts the workflow; see launch.
func (s *server) launchRun(ctx context.Context, run db.Run, l runLaunch) (*acceptedRun, error) {
	if err := s.temporalAnswers(ctx, "start the workflow"); err != nil {
		return nil, err
	}
	changes := map[string]any{}
	err := s.db.InTx(ctx, func(q *db.Queries) error {
		created, err := q.CreateRun(ctx, l.kind.kind, run)
		if err != nil {
			return err
		}
		run = created
		changes["run_id"], changes["retry_of"] = run.ID, run.Metadata.RetryOf
		if l.irreversible != nil {
			if err := approved(ctx, q, approvalOf(ctx), *l.irreversible, changes); err != nil {
				return err
			}
		}
		return q.AddAudit(ctx, audited(ctx, l.action, l.resource, *run.JobID, changes))
	})
	if errors.Is(err, db.ErrActiveExecution) {
		return nil, s.runIsActive(ctx, l.kind, *run.JobID)
	}
	if err != nil {
		return nil, s.orAsk(ctx, err)
	}
	lasting := context.WithoutCancel(ctx)
	if err := s.startRun(lasting, run, l); err != nil {
		if run, err = s.closeUnstartedRun(lasting, l.kind, run, changes, err); err != nil {
			return nil, err
		}
	}
	return &acceptedRun{Location: l.kind.path + "/" + run.ID, Body: viewRun(run)}, nil
}

func (s *server) startRun(ctx context.Context, run db.Run, l runLaunch) error {
	ctx, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	_, err := l.kind.workflow.Start(ctx, s.temporal, client.StartWorkflowOptions{
		ID: run.Metadata.WorkflowID, TaskQueue: contract.TaskQueue(l.pool),
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, WorkflowExecutionErrorWhenAlreadyStarted: true,
		TypedSearchAttributes: runAttributes(l.kind, l.labels),
		StaticSummary:         l.summary,
		StaticDetails:         fmt.Sprintf("Job %s, started by %s.", l.labels.Job, run.Metadata.Actor),
	}, contract.RunInput{JobID: *run.JobID, RunID: run.ID, Labels: l.labels})
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return nil // our own request, repeated by the SDK after a lost answer
	}
	return err
}

func runAttributes(k runKind, labels contract.Labels) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(contract.SearchOperation.ValueSet(k.name), contract.SearchJob.ValueSet(labels.Job),
		contract.SearchDatasource.ValueSet(labels.Datasource), contract.SearchStorage.ValueSet(labels.Storage))
}

// closeUnstartedRun records that Temporal did not take the run; see closeUnstarted.
func (s *server) closeUnstartedRun(ctx context.Context, k runKind, run db.Run, changes map[string]any, cause error) (db.Run, error) {
	if s.wasStarted(ctx, run.Metadata.WorkflowID) {
		return s.jobRun(ctx, k, run.ID)
	}
	closed, err := s.closeUnbegun(ctx, changes, func(q *db.Queries) (bool, error) {
		return q.FinishRun(ctx, k.kind, run.ID, unstarted(cause), 0, domain.Queued)
	})
	if err != nil {
		return run, errors.Join(fmt.Errorf("close run %s: %w", run.ID, err), cause)
	}
	if !closed {
		return s.jobRun(ctx, k, run.ID)
	}
	return run, s.temporalDown(ctx, "start the workflow", cause)
}

func (s *server) runIsActive(ctx context.Context, k runKind, jobID string) error {
	active, err := s.db.ActiveRun(ctx, k.kind, jobID)
	if errors.Is(err, db.ErrNotFound) {
		return problem.New(http.StatusConflict, "Another run of this job has just ended; try again.")
	}
	if err != nil {
		return err
	}
	p := problem.New(http.StatusConflict, fmt.Sprintf("Run %s of this job is %s; wait for it or cancel it.", active.ID, active.Status))
	p.ExecutionID = active.ID
	return p
}

func (s *server) cancelRun(ctx context.Context, k runKind, id string) (*acceptedRun, error) {
	row, err := s.jobRun(ctx, k, id)
	if err != nil {
		return nil, err
	}
	if row.Status.Finished() {
		return nil, problem.New(http.StatusConflict, fmt.Sprintf("The run is %s already; there is nothing to cancel.", row.Status))
	}
	entry := audited(ctx, k.name+"_execution.cancel", k.name+"_execution", row.ID, map[string]any{"status": row.Status})
	if err := s.announce(ctx, entry); err != nil {
		return nil, err
	}
	if err := s.cancelRunWorkflow(ctx, k, row); err != nil {
		return nil, s.notDone(ctx, entry, err)
	}
	if row, err = s.jobRun(ctx, k, id); err != nil {
		return nil, err
	}
	return &acceptedRun{Location: k.path + "/" + row.ID, Body: viewRun(row)}, nil
}

// cancelRunWorkflow is cancelWorkflow for a run.
func (s *server) cancelRunWorkflow(ctx context.Context, k runKind, row db.Run) error {
	asking, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	err := s.temporal.CancelWorkflow(asking, row.Metadata.WorkflowID, "")
	var unknown *serviceerror.NotFound
	switch {
	case errors.As(err, &unknown):
		_, err = reconcile.EndRun(ctx, s.db, k.kind, row, db.Finish{
			Status: domain.Cancelled, FailureClass: string(failure.Cancelled),
			ErrorMessage: "Cancelled by " + principalOf(ctx).User.Email + "; Temporal had no running workflow for it.",
		})
		return err
	case err != nil:
		return s.temporalDown(ctx, "cancel the workflow", err)
	}
	return nil
}

func viewRun(row db.Run) JobRun {
	return JobRun{
		ID: row.ID, JobID: row.JobID, BackupExecutionID: row.BackupExecutionID, RestoreExecutionID: row.RestoreExecutionID,
		Status: row.Status, StartedAt: row.StartedAt, FinishedAt: row.FinishedAt, ErrorMessage: row.ErrorMessage,
		Metadata: row.Metadata, CreatedAt: row.CreatedAt,
	}
}
