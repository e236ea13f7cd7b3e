package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
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
)

// VerifyRequest says how thoroughly a backup is checked.
type VerifyRequest struct {
	Mode              domain.VerifyMode `json:"mode" enum:"quick,full" doc:"quick: every object is there with its size. full: everything is read back, hashed, decrypted and decompressed, and read by the engine"`
	StorageLocationID string            `json:"storage_location_id,omitempty" format:"uuid" doc:"Which of the locations that hold the backup; default its own"`
}

// VerificationState is where the latest verification of a backup stands.
type VerificationState struct {
	ExecutionID  string               `json:"execution_id" format:"uuid"`
	State        string               `json:"state" enum:"none,running,ended,failed" doc:"none: it was not asked for lately; failed: it could not be made, error says why"`
	WorkflowID   string               `json:"workflow_id"`
	TemporalURL  string               `json:"temporal_url,omitempty"`
	Error        string               `json:"error,omitempty"`
	Verification *domain.Verification `json:"verification" doc:"The newest outcome, of whatever checked it last; null when nothing did"`
}

type verifyInput struct {
	ID   string `path:"id" format:"uuid" doc:"The backup"`
	Body VerifyRequest
}

type acceptedVerification struct {
	Location string `header:"Location"`
	Body     VerificationState
}

func (s *server) registerVerification() {
	tags, path := []string{"Executions"}, "/api/executions/{id}"
	register(s, requires(auth.BackupsRestoreVerify), huma.Operation{
		OperationID: "verify-execution", Method: http.MethodPost, Path: path + "/verify", Tags: tags,
		Summary: "Verify a backup now",
		Description: "Checks a completed backup to its end, names every damaged object, and heals it from a copy on another storage location where there is one. " +
			"Answers at once; follow it at /api/executions/{id}/verification. One verification of a backup runs at a time.",
		DefaultStatus: http.StatusAccepted,
		Errors:        []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}, s.verifyExecution)
	register(s, requires(auth.ExecutionsRead), huma.Operation{
		OperationID: "get-verification", Method: http.MethodGet, Path: path + "/verification", Tags: tags,
		Summary: "State and outcome of a backup's verification",
		Errors:  []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, s.getVerification)
}

func (s *server) verifyExecution(ctx context.Context, in *verifyInput) (*acceptedVerification, error) {
	row, err := s.restorableBackup(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if in.Body.StorageLocationID == "" {
		in.Body.StorageLocationID = *row.StorageLocationID
	}
	location, err := s.locationOfCopy(ctx, row, in.Body.StorageLocationID)
	if err != nil {
		return nil, err
	}
	labels := contract.Labels{Storage: location.Name}
	if datasource, err := s.db.GetDatasource(ctx, *row.DatasourceID); err == nil {
		labels.Datasource = datasource.Name
	}
	entry := audited(ctx, "execution.verify", "execution", row.ID, map[string]any{"mode": in.Body.Mode, "storage_location_id": location.ID})
	if err := s.announce(ctx, entry); err != nil {
		return nil, err
	}
	if err := s.startVerification(ctx, row, location, labels, in.Body.Mode); err != nil {
		return nil, s.notDone(ctx, entry, err)
	}
	return &acceptedVerification{Location: "/api/executions/" + row.ID + "/verification", Body: s.verificationState(row, "running", "")}, nil
}

// locationOfCopy reads the storage location on which a copy of the backup is to be checked.
func (s *server) locationOfCopy(ctx context.Context, row db.Execution, id string) (db.StorageLocation, error) {
	if _, err := s.db.GetCopy(ctx, row.ID, id); err != nil {
		if !errors.Is(err, db.ErrNotFound) {
			return db.StorageLocation{}, err
		}
		if id == *row.StorageLocationID {
			return db.StorageLocation{}, problem.New(http.StatusConflict, fmt.Sprintf("Backup %s is being deleted.", row.ID))
		}
		var v domain.Invalid
		v.Add("storage_location_id", "holds no copy of this backup")
		return db.StorageLocation{}, v.OrNil()
	}
	location, err := s.db.GetStorageLocation(ctx, id)
	if err == nil && !location.Enabled {
		err = problem.New(http.StatusConflict, fmt.Sprintf("Storage location %q is disabled; enable it first.", location.Name))
	}
	return location, err
}

// startVerification starts the workflow, whose id keeps a second one of the same backup from running.
func (s *server) startVerification(ctx context.Context, row db.Execution, location db.StorageLocation, labels contract.Labels, mode domain.VerifyMode) error {
	starting, stop := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer stop()
	id := contract.VerifyWorkflowID(row.ID)
	_, err := contract.VerifyBackup.Start(starting, s.temporal, client.StartWorkflowOptions{
		ID: id, TaskQueue: contract.TaskQueue(location.Pool),
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            fmt.Sprintf("Verify a backup of %s on %s (%s)", labels.Datasource, location.Name, mode),
		StaticDetails:                            fmt.Sprintf("Backup %s, asked for by %s.", row.ID, principalOf(ctx).User.Email),
		TypedSearchAttributes: temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("verify"),
			contract.SearchDatasource.ValueSet(labels.Datasource), contract.SearchStorage.ValueSet(location.Name)),
	}, contract.VerifyBackupInput{BackupID: row.ID, StorageLocationID: location.ID, Mode: mode, Labels: labels})
	var running *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &running):
		return problem.New(http.StatusConflict, fmt.Sprintf("Backup %s is being verified; its state is at /api/executions/%s/verification.", row.ID, row.ID))
	case err != nil:
		return s.temporalDown(ctx, "start the verification", err)
	}
	return nil
}

func (s *server) getVerification(ctx context.Context, in *ByID) (*body[VerificationState], error) {
	row, err := s.execution(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if row.Metadata.Operation != domain.OperationBackup {
		return nil, problem.New(http.StatusNotFound, fmt.Sprintf("Execution %s is a %s, not a backup.", row.ID, row.Metadata.Operation))
	}
	asking, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	described, err := s.temporal.DescribeWorkflowExecution(asking, contract.VerifyWorkflowID(row.ID), "")
	var unknown *serviceerror.NotFound
	switch {
	case errors.As(err, &unknown):
		return &body[VerificationState]{s.verificationState(row, "none", "")}, nil
	case err != nil:
		return nil, s.temporalDown(ctx, "ask for the verification", err)
	}
	state, reason := "failed", ""
	switch described.GetWorkflowExecutionInfo().GetStatus() {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
		state = "running"
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		state = "ended"
	default:
		reason = s.whyEnded(asking, contract.VerifyWorkflowID(row.ID))
	}
	if state == "ended" { // the row may have been read before the workflow wrote its outcome
		if row, err = s.execution(ctx, in.ID); err != nil {
			return nil, err
		}
	}
	return &body[VerificationState]{s.verificationState(row, state, reason)}, nil
}

// whyEnded is the message of a workflow that did not complete.
func (s *server) whyEnded(ctx context.Context, workflowID string) string {
	err := s.temporal.GetWorkflow(ctx, workflowID, "").Get(ctx, nil)
	var application *temporal.ApplicationError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &application):
		return failure.Redact(application.Message())
	default:
		return failure.Redact(err.Error())
	}
}

func (s *server) verificationState(row db.Execution, state, reason string) VerificationState {
	id := contract.VerifyWorkflowID(row.ID)
	return VerificationState{
		ExecutionID: row.ID, State: state, WorkflowID: id, TemporalURL: s.temporalURL(id), Error: reason, Verification: row.Metadata.Verification,
	}
}
