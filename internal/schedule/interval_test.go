package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

func TestAnIntervalIsMadeMendedAndItsPauseIsKnown(t *testing.T) {
	s := schedule.Interval{
		ID: "own", Every: time.Hour, Jitter: time.Second, Note: "Keeps things true.", Summary: "Look", Workflow: "Scheduled", Input: map[string]string{"job": "own"},
		TaskQueue: "nobody", Search: temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("upkeep")),
	}
	ensure := func() (bool, string) {
		t.Helper()
		made, pause, err := schedule.PutInterval(t.Context(), temporalClient, s)
		require.NoError(t, err)
		return made, pause
	}
	made, pause := ensure()
	require.True(t, made)
	require.Empty(t, pause)
	d := described(t, s.ID)
	require.Equal(t, s.Every, d.Schedule.Spec.Intervals[0].Every)
	right := d.Info.LastUpdateAt
	made, _ = ensure()
	require.False(t, made)
	require.Equal(t, right, described(t, s.ID).Info.LastUpdateAt, "what is right is not written again")

	handle := temporalClient.ScheduleClient().GetHandle(t.Context(), s.ID)
	for what, edit := range map[string]func(*client.Schedule){
		"the interval": func(c *client.Schedule) { c.Spec.Intervals[0].Every = 48 * time.Hour },
		"another spec": func(c *client.Schedule) {
			c.Spec.Calendars = []client.ScheduleCalendarSpec{{Hour: []client.ScheduleRange{{Start: 3}}}}
		},
		"an end":         func(c *client.Schedule) { c.Spec.EndAt = time.Now() },
		"the workflow":   func(c *client.Schedule) { c.Action.(*client.ScheduleWorkflowAction).Workflow = "nothing" },
		"the task queue": func(c *client.Schedule) { c.Action.(*client.ScheduleWorkflowAction).TaskQueue = "elsewhere" },
		"the catch-up":   func(c *client.Schedule) { c.Policy.CatchupWindow = time.Minute },
		"the runs left":  func(c *client.Schedule) { c.State.LimitedActions, c.State.RemainingActions = true, 0 },
	} {
		require.NoError(t, handle.Update(t.Context(), client.ScheduleUpdateOptions{
			DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				changed := in.Description.Schedule
				edit(&changed)
				return &client.ScheduleUpdate{Schedule: &changed}, nil
			},
		}), what)
		before := described(t, s.ID).Info.LastUpdateAt
		ensure()
		after := described(t, s.ID)
		require.True(t, after.Info.LastUpdateAt.After(before), what)
		require.Equal(t, s.Every, after.Schedule.Spec.Intervals[0].Every, what)
		require.False(t, after.Schedule.State.LimitedActions, what)
	}
	require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "too much load"}))
	_, pause = ensure()
	require.Equal(t, "too much load", pause)
	require.True(t, described(t, s.ID).Schedule.State.Paused)
	require.NoError(t, handle.Unpause(t.Context(), client.ScheduleUnpauseOptions{Note: "done"}))
	_, pause = ensure()
	require.Empty(t, pause)
	require.Equal(t, s.Note, described(t, s.ID).Schedule.State.Note)
}
