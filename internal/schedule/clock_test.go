package schedule

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	schedulespb "go.temporal.io/server/api/schedule/v1"
	"go.temporal.io/server/service/worker/scheduler"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/retention"
)

// startedBy runs Temporal's own scheduler with our spec, with a clock that shows now, skips what nothing happens in, and what it has
// handled until processed, for so many rounds, and returns for which times it started a workflow.
func startedBy(t *testing.T, cron, zone string, processed, now time.Time, catchup time.Duration, rounds int) (due []string) {
	t.Helper()
	w, err := parse(cron, zone)
	require.NoError(t, err)
	before := scheduler.CurrentTweakablePolicies.IterationsBeforeContinueAsNew
	scheduler.CurrentTweakablePolicies.IterationsBeforeContinueAsNew = rounds
	defer func() { scheduler.CurrentTweakablePolicies.IterationsBeforeContinueAsNew = before }()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler))) // every step of a year else
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
			for _, due := range startedBy(t, c.cron, c.zone, utc(t, c.processed), utc(t, c.now), c.catchup, 8) {
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

// A nightly job goes through a year in which its clock is set forth and back, and its policy is applied after each run: it runs
// once on every day of its calendar, and the seven days that the policy keeps are the last seven.
func TestAYearOfANightlyJobAndItsRetention(t *testing.T) {
	for name, c := range map[string]struct {
		cron, zone, jumped string // at which time of the day it runs where its clock jumps over its own
		year               int
	}{
		"in Berlin": {"30 2 * * *", berlin, "03:30", 2026},
		"in São Paulo, where 0:30 is jumped over":  {"30 0 * * *", saoPaulo, "01:30", 2018},
		"in São Paulo, where 23:30 is shown twice": {"30 23 * * *", saoPaulo, "", 2018},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := parse(c.cron, c.zone)
			require.NoError(t, err)
			policy := domain.RetentionPolicy{KeepDaily: 7, KeepMonthly: 12, AutoDelete: true}
			begin := time.Date(c.year, time.January, 1, 0, 0, 0, 0, w.zone)
			var kept []domain.KeptBackup
			days, times := []string{}, map[string]int{}
			for _, due := range startedBy(t, c.cron, c.zone, begin, begin, 24*time.Hour, 370) {
				at := utc(t, due)
				repeat, err := IsRepeat(c.cron, c.zone, at) // as the first activity of the run asks
				require.NoError(t, err)
				local := at.In(w.zone)
				if repeat || local.Year() > c.year {
					continue
				}
				days, times[local.Format("15:04")] = append(days, local.Format(time.DateOnly)), times[local.Format("15:04")]+1
				verdicts := retention.Apply(policy, w.zone, at, append(kept, domain.KeptBackup{ID: due, At: at, Good: true}))
				kept = nil
				for i, v := range verdicts {
					require.True(t, v.Keep || i >= 7, "one of the last seven, at %s", due)
					if v.Keep {
						kept = append(kept, v.KeptBackup)
					}
				}
			}
			var calendar []string
			for day := begin.Add(12 * time.Hour); day.Year() == c.year; day = day.AddDate(0, 0, 1) {
				calendar = append(calendar, day.Format(time.DateOnly))
			}
			require.Equal(t, calendar, days, "every day once")
			if c.jumped != "" {
				require.Equal(t, 1, times[c.jumped])
				delete(times, c.jumped)
			}
			require.Len(t, times, 1, "at the same time of the day")
			months := map[string]bool{}
			for _, b := range kept {
				months[b.At.In(w.zone).Format("2006-01")] = true
			}
			require.Len(t, months, 12)
			require.Len(t, kept, 7+11, "December's is one of the seven")
		})
	}
}
