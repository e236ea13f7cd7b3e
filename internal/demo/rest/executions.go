package rest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Execution is a backup or a restore.
type Execution struct {
	ID                  string                   `json:"id"`
	Status              domain.ExecutionStatus   `json:"status"`
	SizeBytes           int64                    `json:"size_bytes"`
	CompressedSizeBytes int64                    `json:"compressed_size_bytes"`
	StartedAt           *time.Time               `json:"started_at"`
	FinishedAt          *time.Time               `json:"finished_at"`
	ErrorMessage        string                   `json:"error_message"`
	Metadata            domain.ExecutionMetadata `json:"metadata"`
}

// Duration is the time from started_at to finished_at, 0 while either is missing.
func (e Execution) Duration() time.Duration {
	if e.StartedAt == nil || e.FinishedAt == nil {
		return 0
	}
	return e.FinishedAt.Sub(*e.StartedAt)
}

// Failure is nil for a completed execution, and tells why any other one is not completed.
func (e Execution) Failure() error {
	if e.Status == domain.Completed {
		return nil
	}
	why := e.ErrorMessage
	if e.Metadata.Hint != "" {
		why = strings.TrimRight(why, ".") + ". " + e.Metadata.Hint
	}
	return fmt.Errorf("execution %s is %s: %s", e.ID, e.Status, why)
}

// RunJob starts a backup and returns its queued execution.
func (c *Client) RunJob(ctx context.Context, jobID string) (Execution, error) {
	var queued Execution
	err := c.do(ctx, http.MethodPost, "/api/backup-jobs/"+jobID+"/run", nil, &queued)
	return queued, err
}

// Restore asks for a restore. The phrase that confirms it is part of it: whoever calls this means it.
type Restore struct {
	TargetDatasourceID string `json:"target_datasource_id"`
	TargetDatabase     string `json:"target_database"`
	ConfirmationPhrase string `json:"confirmation_phrase"`
}

// Restore starts a restore of a completed backup and returns its queued execution.
func (c *Client) Restore(ctx context.Context, backupID string, in Restore) (Execution, error) {
	var queued Execution
	err := c.do(ctx, http.MethodPost, "/api/backups/"+backupID+"/restore", in, &queued)
	return queued, err
}

// Execution reads an execution.
func (c *Client) Execution(ctx context.Context, id string) (Execution, error) {
	var e Execution
	err := c.do(ctx, http.MethodGet, "/api/executions/"+id, nil, &e)
	return e, err
}

// Await reads an execution every interval until it has ended, however it ended. show, where it is
// not nil, sees every state that was read.
func (c *Client) Await(ctx context.Context, id string, interval time.Duration, show func(Execution)) (Execution, error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		now, err := c.Execution(ctx, id)
		if err != nil {
			return now, err
		}
		if show != nil {
			show(now)
		}
		if now.Status.Finished() {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return now, ctx.Err()
		case <-tick.C:
		}
	}
}
