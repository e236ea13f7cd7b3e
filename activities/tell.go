package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"github.com/dataguardian/dataguardian/db"
)

// linked adds to what people are told where the Temporal UI shows the workflow that found it out; nil stays nil.
func (a *Activities) linked(ctx context.Context, n *db.Notification) *db.Notification {
	if n == nil || a.TemporalURL == nil || !activity.IsActivity(ctx) {
		return n
	}
	if n.Metadata == nil {
		n.Metadata = map[string]any{}
	}
	run := activity.GetInfo(ctx).WorkflowExecution
	n.Metadata["temporal_url"] = a.TemporalURL(run.ID, run.RunID)
	return n
}
