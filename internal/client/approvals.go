package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// approvalHeader carries the id of an approval.
const approvalHeader = "Approval-Id"

// Approval is a request to do what another person must approve.
type Approval struct {
	ID            string         `json:"id"`
	Action        string         `json:"action"`
	Permission    string         `json:"permission"`
	Resource      string         `json:"resource"`
	ResourceID    string         `json:"resource_id"`
	Summary       string         `json:"summary"`
	Request       map[string]any `json:"request"`
	Status        string         `json:"status"`
	RequesterName string         `json:"requester_name"`
	DeciderName   string         `json:"decider_name"`
	Note          string         `json:"note"`
	CreatedAt     time.Time      `json:"created_at"`
	ExpiresAt     time.Time      `json:"expires_at"`
}

// ApprovalNeeded is the error of a call that was not made: another person must approve it first. Repeat the
// call under WithApproval then.
type ApprovalNeeded struct {
	Detail   string   `json:"detail"`
	Approval Approval `json:"approval"`
}

// Error says what to do.
func (a *ApprovalNeeded) Error() string { return a.Detail }

type approvalKey struct{}

// WithApproval gives a context whose calls use this approval.
func WithApproval(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, approvalKey{}, id)
}

// needsApproval reads an answer that asks for an approval in place of what was called for. It leaves every
// other answer alone.
func needsApproval(answer *http.Response) error {
	if answer.StatusCode != http.StatusAccepted || answer.Header.Get(approvalHeader) == "" {
		return nil
	}
	defer func() { _ = answer.Body.Close() }()
	needed := new(ApprovalNeeded)
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(needed); err != nil {
		return fmt.Errorf("read the request for approval: %w", err)
	}
	return needed
}

// Approvals lists those that the caller asked for or may decide on; status narrows it, "" does not.
func (c *Client) Approvals(ctx context.Context, status string) ([]Approval, error) {
	query := url.Values{}
	if status != "" {
		query.Set("status", status)
	}
	return collect[Approval](ctx, c, "/api/approvals", query)
}

// Decide approves or rejects a request of another person.
func (c *Client) Decide(ctx context.Context, id string, approve bool, note string) (Approval, error) {
	verb := "/reject"
	if approve {
		verb = "/approve"
	}
	var out Approval
	err := c.call(ctx, http.MethodPost, "/api/approvals/"+url.PathEscape(id)+verb, nil, map[string]string{"note": note}, &out)
	return out, err
}
