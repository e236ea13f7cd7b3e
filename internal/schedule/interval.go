package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// Interval is a schedule of the platform's own. It runs every so often, and at once when it is made, unless it has a start; a run
// that an outage prevented is started once, if it is not later than the next.
type Interval struct {
	ID        string // begins the workflow ids of its runs too
	Every     time.Duration
	Offset    time.Duration // of its runs, from the multiples of Every
	From      time.Time     // when it begins; zero is at once
	Jitter    time.Duration
	Note      string // what it is for: the Temporal UI shows it
	Summary   string // of its runs
	Workflow  string
	Input     any
	TaskQueue string
	Search    temporal.SearchAttributes // of its runs
}

// PutInterval makes the schedule, or puts back what somebody has changed of it; nothing is written when it is right. A
// pause that somebody made in Temporal stays: pause is their reason, "" when it is not paused. made says that it was missing.
func PutInterval(ctx context.Context, c client.Client, s Interval) (made bool, pause string, err error) {
	input, err := json.Marshal(s.Input)
	if err != nil {
		return false, "", fmt.Errorf("schedule %s: %w", s.ID, err)
	}
	wanted := client.Schedule{
		Spec: &client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: s.Every, Offset: s.Offset}}, Jitter: s.Jitter, StartAt: s.From},
		Action: &client.ScheduleWorkflowAction{
			ID: s.ID, Workflow: s.Workflow, Args: []any{json.RawMessage(input)}, TaskQueue: s.TaskQueue, StaticSummary: s.Summary,
			TypedSearchAttributes: s.Search,
		},
		Policy: &client.SchedulePolicies{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: s.Every},
		State:  &client.ScheduleState{Note: s.Note},
	}
	ctx, stop := context.WithTimeout(ctx, answerTimeout)
	defer stop()
	_, err = c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: s.ID, Spec: *wanted.Spec, Action: wanted.Action, Note: s.Note, Overlap: wanted.Policy.Overlap,
		CatchupWindow: wanted.Policy.CatchupWindow, TriggerImmediately: s.From.IsZero(),
	})
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return err == nil, "", wrap(err, "create", s.ID)
	}
	err = write(ctx, c, s.ID, func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		there, wanted := in.Description.Schedule, wanted
		pause = pauseOf(there.State.Paused, there.State.Note)
		wanted.State = mayPause(wanted.State, there)
		return skipSame(there, wanted, nil, true)
	})
	return false, pause, err
}
