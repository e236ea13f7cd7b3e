package api

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.temporal.io/api/serviceerror"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
)

// Execution is one backup or restore as clients see it.
type Execution struct {
	ID                  string                   `json:"id" format:"uuid"`
	JobID               *string                  `json:"job_id" doc:"null for a restore, and when the job is gone"`
	DatasourceID        *string                  `json:"datasource_id" doc:"What is backed up, or restored into"`
	StorageLocationID   *string                  `json:"storage_location_id"`
	Status              domain.ExecutionStatus   `json:"status" enum:"queued,running,completed,failed,cancelled"`
	BackupType          domain.BackupType        `json:"backup_type" enum:"full,incremental,differential"`
	SizeBytes           int64                    `json:"size_bytes" doc:"Bytes of the dump"`
	CompressedSizeBytes int64                    `json:"compressed_size_bytes" doc:"Bytes that this execution added to the storage location"`
	StartedAt           *time.Time               `json:"started_at"`
	FinishedAt          *time.Time               `json:"finished_at"`
	ErrorMessage        string                   `json:"error_message"`
	Pinned              bool                     `json:"pinned"`
	Generation          string                   `json:"generation" doc:"Of the chunks: the full that opened it and all that was built on it share one"`
	ParentExecutionID   *string                  `json:"parent_execution_id" doc:"The backup that this one builds on; null for a full, and when that one is gone"`
	Metadata            domain.ExecutionMetadata `json:"metadata"`
	CreatedAt           time.Time                `json:"created_at"`
	DeletingAt          *time.Time               `json:"deleting_at,omitempty" doc:"Since when it is being deleted"`
	WaitingFor          string                   `json:"waiting_for,omitempty" doc:"What a queued execution waits for before it begins, where the limits on concurrency (settings concurrency.*) make it"`
}

// Chunk is one stored object that an execution refers to.
type Chunk struct {
	ID          string `json:"id" doc:"Keyed hash of the plain bytes, in hex"`
	Generation  string `json:"generation"`
	PlainBytes  int64  `json:"plain_bytes"`
	StoredBytes int64  `json:"stored_bytes"`
	Checksum    string `json:"checksum" doc:"SHA-256 of the stored object, in hex"`
	Uploaded    bool   `json:"uploaded"`
}

type listExecutionsInput struct {
	Paging
	Job        string    `query:"job" format:"uuid"`
	Datasource string    `query:"datasource" format:"uuid"`
	Storage    string    `query:"storage" format:"uuid"`
	Status     string    `query:"status" enum:"queued,running,completed,failed,cancelled"`
	Operation  string    `query:"operation" enum:"backup,restore"`
	From       time.Time `query:"from" doc:"Created at this time or later (RFC 3339)"`
	To         time.Time `query:"to" doc:"Created before this time (RFC 3339)"`
}

type listChunksInput struct {
	ByID
	Paging
}

func (s *server) registerExecutions() {
	tags, path := []string{"Executions"}, "/api/executions"
	read := requires(auth.ExecutionsRead)
	missingToo := []int{http.StatusNotFound}
	register(s, read, huma.Operation{
		OperationID: "list-executions", Method: http.MethodGet, Path: path, Tags: tags,
		Summary: "List backups and restores", Description: "Without their logs.",
	}, s.listExecutions)
	register(s, read, huma.Operation{
		OperationID: "get-execution", Method: http.MethodGet, Path: path + "/{id}", Tags: tags, Summary: "Get an execution", Errors: missingToo,
	}, s.getExecution)
	register(s, read, huma.Operation{
		OperationID: "list-execution-logs", Method: http.MethodGet, Path: path + "/{id}/logs", Tags: tags,
		Summary: "Log of an execution, oldest line first", Description: "The newest 1,000 lines are kept.", Errors: missingToo,
	}, s.listLogs)
	register(s, read, huma.Operation{
		OperationID: "list-execution-chunks", Method: http.MethodGet, Path: path + "/{id}/chunks", Tags: tags,
		Summary: "Stored objects of a backup", Errors: missingToo,
	}, s.listChunks)
	register(s, requires(auth.ExecutionsControl), huma.Operation{
		OperationID: "cancel-execution", Method: http.MethodPost, Path: path + "/{id}/cancel", Tags: tags,
		Summary: "Cancel an execution", Description: "Answers when the request to stop is made; the execution ends when its processes have ended and its leftovers are gone.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}, s.cancelExecution)
}

func (s *server) listExecutions(ctx context.Context, in *listExecutionsInput) (*body[page[Execution]], error) {
	filter := db.ExecutionFilter{
		JobID: in.Job, DatasourceID: in.Datasource, StorageLocationID: in.Storage,
		Status: domain.ExecutionStatus(in.Status), Operation: domain.Operation(in.Operation), From: in.From, To: in.To,
	}
	rows, next, err := s.db.ListExecutions(ctx, filter, in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewExecution), nil
}

func (s *server) getExecution(ctx context.Context, in *ByID) (*body[Execution], error) {
	row, err := s.execution(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &body[Execution]{viewExecution(row)}, nil
}

func (s *server) listLogs(ctx context.Context, in *ByID) (*body[list[domain.LogLine]], error) {
	row, err := s.execution(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	lines := row.Metadata.ExecutionLogs
	if lines == nil {
		lines = []domain.LogLine{}
	}
	return &body[list[domain.LogLine]]{list[domain.LogLine]{lines}}, nil
}

func (s *server) listChunks(ctx context.Context, in *listChunksInput) (*body[page[Chunk]], error) {
	rows, next, err := s.db.PageChunks(ctx, in.ID, in.page())
	if err := parentSeen(ctx, len(rows), func() error { _, err := s.execution(ctx, in.ID); return err }); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewChunk), nil
}

func (s *server) cancelExecution(ctx context.Context, in *ByID) (*accepted, error) {
	row, err := s.execution(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if row.Status.Finished() {
		return nil, problem.New(http.StatusConflict, fmt.Sprintf("The execution is %s already; there is nothing to cancel.", row.Status))
	}
	entry := audited(ctx, "execution.cancel", "execution", row.ID, map[string]any{"status": row.Status})
	if err := s.announce(ctx, entry); err != nil {
		return nil, err
	}
	if err := s.cancelWorkflow(ctx, row); err != nil {
		return nil, s.notDone(ctx, entry, err)
	}
	if row, err = s.execution(ctx, in.ID); err != nil {
		return nil, err
	}
	return &accepted{Location: "/api/executions/" + row.ID, Body: viewExecution(row)}, nil
}

// cancelWorkflow asks for the end of an execution's workflow, and closes the row itself where there is none.
func (s *server) cancelWorkflow(ctx context.Context, row db.Execution) error {
	asking, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	err := s.temporal.CancelWorkflow(asking, row.Metadata.WorkflowID, "")
	var unknown *serviceerror.NotFound
	switch {
	case errors.As(err, &unknown):
		// Nobody is left to record the end: the workflow never started, or is closed already.
		_, _, err = reconcile.End(db.Unscoped(ctx), s.db, s.temporal, row, db.Finish{
			Status: domain.Cancelled, ErrorMessage: "Cancelled by " + principalOf(ctx).User.Email + "; Temporal had no running workflow for it.",
		})
		return err
	case err != nil:
		return s.temporalDown(ctx, "cancel the workflow", err)
	}
	return nil
}

func (s *server) execution(ctx context.Context, id string) (db.Execution, error) {
	row, err := s.db.GetExecution(ctx, id)
	if err != nil {
		return row, missing(err, "execution", id)
	}
	return row, nil
}

func viewExecution(row db.Execution) Execution {
	return Execution{
		ID: row.ID, JobID: row.JobID, DatasourceID: row.DatasourceID, StorageLocationID: row.StorageLocationID,
		Status: row.Status, BackupType: row.BackupType, SizeBytes: row.SizeBytes, CompressedSizeBytes: row.CompressedSizeBytes,
		StartedAt: row.StartedAt, FinishedAt: row.FinishedAt, ErrorMessage: row.ErrorMessage, Pinned: row.Pinned,
		Generation: row.Generation, ParentExecutionID: row.ParentExecutionID,
		Metadata: row.Metadata, CreatedAt: row.CreatedAt, DeletingAt: row.DeletingAt, WaitingFor: row.WaitingFor,
	}
}

// brief is an execution without its log, for answers that come often.
func brief(row db.Execution) Execution {
	row.Metadata.ExecutionLogs = nil
	return viewExecution(row)
}

func viewChunk(c db.Chunk) Chunk {
	return Chunk{
		ID: hex.EncodeToString(c.ID[:]), Generation: c.Generation, PlainBytes: c.PlainBytes, StoredBytes: c.StoredBytes,
		Checksum: hex.EncodeToString(c.Checksum[:]), Uploaded: c.Uploaded,
	}
}
