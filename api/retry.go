package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func (s *server) registerRetry() {
	register(s, requires(auth.ExecutionsControl), huma.Operation{
		OperationID: "retry-execution", Method: http.MethodPost, Path: "/api/executions/{id}/retry", Tags: []string{"Executions"},
		Summary: "Make a failed backup again",
		Description: "For a failed or cancelled backup of a job that is still there: starts a new backup of the job with the options of that run. " +
			"Answers at once with the new execution, whose trigger is `retry`.",
		DefaultStatus: http.StatusAccepted,
		Errors:        []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}, s.retryExecution)
}

func (s *server) retryExecution(ctx context.Context, in *ByID) (*accepted, error) {
	row, err := s.execution(ctx, in.ID)
	switch {
	case err != nil:
		return nil, err
	case row.Metadata.Operation != domain.OperationBackup:
		return nil, problem.New(http.StatusConflict, fmt.Sprintf("Execution %s is a %s; only a backup can be made again.", row.ID, row.Metadata.Operation))
	case row.Status != domain.Failed && row.Status != domain.Cancelled:
		return nil, problem.New(http.StatusConflict, fmt.Sprintf("Execution %s is %s; only a failed or cancelled backup is made again.", row.ID, row.Status))
	case row.JobID == nil:
		return nil, problem.New(http.StatusConflict, fmt.Sprintf("The job of execution %s is gone.", row.ID))
	}
	job, datasource, storage, err := loadJob(ctx, s.db.Queries, *row.JobID)
	if err != nil {
		return nil, err
	}
	if row.Metadata.Options != nil {
		// Hooks and referenced files are the job's as it is now: what was taken from it must not run again.
		options := *row.Metadata.Options
		options.Hooks, options.ReferencedFiles = job.BackupOptions.Hooks, job.BackupOptions.ReferencedFiles
		job.BackupOptions = options
	}
	return s.startBackup(ctx, backupStart{
		job: job, datasource: datasource, storage: storage,
		trigger: domain.TriggerRetry, action: "execution.retry", resource: "execution", resourceID: row.ID,
	})
}
