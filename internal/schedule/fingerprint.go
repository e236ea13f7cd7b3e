package schedule

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
)

// Fingerprint tells apart all that Put writes: it is another one when the job has changed, when a later version of the platform
// writes the same job differently, and when the named changes of the clock move on by a year. Errors: those of parsing.
func (s Spec) Fingerprint() (string, error) {
	wanted, err := s.schedule(time.Now())
	if err != nil {
		return "", fmt.Errorf("schedule %s: %w", s.ID, err)
	}
	action, _ := wanted.Action.(*client.ScheduleWorkflowAction)
	text, err := json.Marshal([]any{
		action.ID, action.Workflow, action.Args, action.TaskQueue, action.StaticSummary, action.Memo, values(s.Search),
		specText(wanted.Spec), wanted.Policy, wanted.State,
	})
	if err != nil {
		return "", fmt.Errorf("schedule %s: %w", s.ID, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}
