package schedule

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	schedulespb "go.temporal.io/server/api/schedule/v1"
	"go.temporal.io/server/service/worker/scheduler"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// startedBy runs Temporal's own scheduler with our spec, with a clock that shows now and what it has handled until processed, for a
// few rounds, and returns for which times it started a workflow.
func startedBy(t *testing.T, cron, zone string, processed, now time.Time, catchup time.Duration) (due []string) {
	t.Helper()
	w, err := parse(cron, zone)
	require.NoError(t, err)
	before := scheduler.CurrentTweakablePolicies.IterationsBeforeContinueAsNew
	scheduler.CurrentTweakablePolicies.IterationsBeforeContinueAsNew = 8
	defer func() { scheduler.CurrentTweakablePolicies.IterationsBeforeContinueAsNew = before }()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartTime(now)
	env.RegisterActivityWithOptions(func(_ context.Context, req *schedulespb.StartWorkflowRequest) (*schedulespb.StartWorkflowResponse, error) {
		var at time.Time
		err := converter.GetDefaultDataConverter().FromPayload(req.Request.SearchAttributes.IndexedFields["TemporalScheduledStartTime"], &at)
		due = append(due, at.UTC().Format("2006-01-02 15:04"))
		return &schedulespb.StartWorkflowResponse{RunId: req.Request.RequestId, RealStartTime: timestamppb.New(env.Now())}, err
	}, activity.RegisterOptions{Name: "StartWorkflow"})
	env.RegisterActivityWithOptions(func(context.Context, *schedulespb.WatchWorkflowRequest) (*schedulespb.WatchWorkflowResponse, error) {
		return &schedulespb.WatchWorkflowResponse{Status: enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED}, nil
	}, activity.RegisterOptions{Name: "WatchWorkflow"})
	env.ExecuteWorkflow(scheduler.SchedulerWorkflow, &schedulespb.StartScheduleArgs{
		Schedule: &schedulepb.Schedule{
			Spec: inProto(w.spec(now)),
			Action: &schedulepb.ScheduleAction{Action: &schedulepb.ScheduleAction_StartWorkflow{StartWorkflow: &workflowpb.NewWorkflowExecutionInfo{
				WorkflowId: "job", WorkflowType: &commonpb.WorkflowType{Name: "Backup"},
			}}},
			Policies: &schedulepb.SchedulePolicies{OverlapPolicy: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: durationpb.New(catchup)},
			State:    &schedulepb.ScheduleState{},
		},
		State: &schedulespb.InternalState{
			Namespace: "n", NamespaceId: "n", ScheduleId: "job", ConflictToken: 1, LastProcessedTime: timestamppb.New(processed),
		},
	})
	return due
}

func TestAClockThatIsSetStartsNothingTwiceAndLosesNothing(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		cron, processed, now string
		zone                 string
		during, catchup      time.Duration
		want                 []string
	}{
		"it goes on": {
			cron: "30 2 * * *", processed: "2026-06-10 02:00", now: "2026-06-10 02:00", catchup: day,
			want: []string{"2026-06-10 02:30", "2026-06-11 02:30"},
		},
		"set back over a run that was started": {
			cron: "30 2 * * *", processed: "2026-06-10 03:00", now: "2026-06-10 02:00", catchup: day,
			want: []string{"2026-06-11 02:30"},
		},
		"set forward over a run": {
			cron: "30 2 * * *", processed: "2026-06-10 02:00", now: "2026-06-10 05:00", catchup: day,
			want: []string{"2026-06-10 02:30", "2026-06-11 02:30"},
		},
		"set forward over a run, which is too late by now": {
			cron: "30 2 * * *", processed: "2026-06-10 02:00", now: "2026-06-10 05:00", catchup: time.Hour,
			want: []string{"2026-06-11 02:30"},
		},
		"the night on which the clock is set back, in Berlin": {
			cron: "30 2 * * *", zone: berlin, processed: "2026-10-24 12:00", now: "2026-10-24 12:00", catchup: day,
			want: []string{"2026-10-25 01:30", "2026-10-26 01:30"},
		},
		"the night on which it jumps, in Berlin": {
			cron: "30 2 * * *", zone: berlin, processed: "2026-03-28 12:00", now: "2026-03-28 12:00", catchup: day,
			want: []string{"2026-03-29 01:30", "2026-03-30 00:30"},
		},
		"the midnight that it jumps over, in São Paulo": {
			cron: "@daily", zone: saoPaulo, processed: "2018-11-03 12:00", now: "2018-11-03 12:00", catchup: day,
			want: []string{"2018-11-04 03:00", "2018-11-05 02:00"},
		},
		"the hour before midnight that is shown twice, in São Paulo": {
			cron: "30 23 * * *", zone: saoPaulo, processed: "2019-02-16 12:00", now: "2019-02-16 12:00", catchup: day,
			want: []string{"2019-02-17 01:30", "2019-02-18 02:30"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var started []string
			for _, due := range startedBy(t, c.cron, c.zone, utc(t, c.processed), utc(t, c.now), c.catchup) {
				repeat, err := IsRepeat(c.cron, c.zone, utc(t, due)) // as the first activity of the run asks
				require.NoError(t, err)
				if !repeat {
					started = append(started, due)
				}
			}
			require.GreaterOrEqual(t, len(started), len(c.want))
			require.Equal(t, c.want, started[:len(c.want)])
		})
	}
}
