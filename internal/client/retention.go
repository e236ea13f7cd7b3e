package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// RetentionPreview is what a policy would do to the backups of a job.
type RetentionPreview struct {
	RetentionPolicy domain.RetentionPolicy `json:"retention_policy"`
	Kept            int                    `json:"kept"`
	Removed         int                    `json:"removed"`
	RemovedBytes    int64                  `json:"removed_bytes"`
	Backups         []RetentionVerdict     `json:"backups"`
}

// RetentionVerdict is what a policy says of one backup, and why.
type RetentionVerdict struct {
	ExecutionID string    `json:"execution_id"`
	At          time.Time `json:"at"`
	Keep        bool      `json:"keep"`
	Reasons     []string  `json:"reasons"`
	Pinned      bool      `json:"pinned"`
	Good        bool      `json:"good"`
	StoredBytes int64     `json:"stored_bytes"`
}

// PreviewRetention says what a policy would do to the backups of a job now; nil is the job's own policy.
func (c *Client) PreviewRetention(ctx context.Context, jobID string, policy *domain.RetentionPolicy) (RetentionPreview, error) {
	var out RetentionPreview
	in := map[string]any{}
	if policy != nil {
		in["retention_policy"] = policy
	}
	err := c.call(ctx, http.MethodPost, "/api/backup-jobs/"+url.PathEscape(jobID)+"/retention/preview", nil, in, &out)
	return out, err
}
