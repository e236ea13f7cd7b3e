package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// VerificationState is where the latest verification of a backup stands: none, running, ended, or
// failed when it could not be made.
type VerificationState struct {
	ExecutionID  string               `json:"execution_id"`
	State        string               `json:"state"`
	WorkflowID   string               `json:"workflow_id"`
	Error        string               `json:"error"`
	Verification *domain.Verification `json:"verification"`
}

// DamagedObject is a stored object that is not what was stored.
type DamagedObject struct {
	Key      string     `json:"key"`
	ChunkID  string     `json:"chunk_id"`
	Reason   string     `json:"reason"`
	FoundAt  time.Time  `json:"found_at"`
	HealedAt *time.Time `json:"healed_at"`
	NeededBy []struct {
		ExecutionID string `json:"execution_id"`
		JobName     string `json:"job_name"`
	} `json:"needed_by"`
}

// Verify starts a verification of a backup; WaitVerification tells what it found.
func (c *Client) Verify(ctx context.Context, executionID string, mode domain.VerifyMode) (VerificationState, error) {
	var out VerificationState
	err := c.call(ctx, http.MethodPost, executionPath(executionID)+"/verify", nil, map[string]any{"mode": mode}, &out)
	return out, err
}

// VerifyCopy is Verify for the copy on one of the storage locations that hold the backup.
func (c *Client) VerifyCopy(ctx context.Context, executionID, storageLocationID string, mode domain.VerifyMode) (VerificationState, error) {
	var out VerificationState
	err := c.call(ctx, http.MethodPost, executionPath(executionID)+"/verify", nil,
		map[string]any{"mode": mode, "storage_location_id": storageLocationID}, &out)
	return out, err
}

// RetryUpload starts the copying of a backup to the storage locations of its job that lack it.
func (c *Client) RetryUpload(ctx context.Context, executionID string) (Execution, error) {
	var out Execution
	err := c.call(ctx, http.MethodPost, executionPath(executionID)+"/retry-upload", nil, nil, &out)
	return out, err
}

// Verification reads the state of a backup's verification.
func (c *Client) Verification(ctx context.Context, executionID string) (VerificationState, error) {
	var out VerificationState
	err := c.call(ctx, http.MethodGet, executionPath(executionID)+"/verification", nil, nil, &out)
	return out, err
}

// WaitVerification waits until no verification of the backup runs, and returns how the latest ended.
func (c *Client) WaitVerification(ctx context.Context, executionID string) (VerificationState, error) {
	for {
		state, err := c.Verification(ctx, executionID)
		if err != nil || state.State != "running" {
			return state, err
		}
		select {
		case <-ctx.Done():
			return state, fmt.Errorf("wait for the verification of %s: %w", executionID, ctx.Err())
		case <-time.After(pollInterval / 4):
		}
	}
}

// Damage reads the damaged objects of a storage location; healed adds those that are whole again.
func (c *Client) Damage(ctx context.Context, storageLocationID string, healed bool) ([]DamagedObject, error) {
	query := url.Values{}
	if healed {
		query.Set("healed", "true")
	}
	return collect[DamagedObject](ctx, c, "/api/storage-locations/"+url.PathEscape(storageLocationID)+"/damage", query)
}
