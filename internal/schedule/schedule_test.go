package schedule_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
	"github.com/dataguardian/dataguardian/internal/standalone/temporalserver"
	"github.com/dataguardian/dataguardian/internal/temporalclient"
)

// temporalClient is of the one server of these tests, which is at address.
var (
	temporalClient client.Client
	address        string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	server, err := temporalserver.Start(ctx, temporalserver.Options{InMemory: true, UIPort: temporalserver.NoUI})
	if err != nil {
		panic(err)
	}
	defer server.Stop(ctx)
	address = server.Address()
	temporalClient, err = temporalclient.Dial(ctx, temporalclient.Options{Address: server.Address(), Namespace: temporalserver.DefaultNamespace})
	if err != nil {
		panic(err)
	}
	defer temporalClient.Close()
	return m.Run()
}

func nightly(id string) schedule.Spec {
	return schedule.Spec{
		ID: id, Cron: "30 2 * * *", TimeZone: "Europe/Berlin", Enabled: true, Note: "Back up shop to disk", Workflow: "Scheduled",
		Input: map[string]string{"job": id}, TaskQueue: "test", Search: temporal.NewSearchAttributes(contract.SearchJob.ValueSet("nightly")),
		Jitter: 5 * time.Minute, CatchupWindow: time.Hour,
	}
}

func described(t *testing.T, id string) *client.ScheduleDescription {
	t.Helper()
	d, err := temporalClient.ScheduleClient().GetHandle(t.Context(), id).Describe(t.Context())
	require.NoError(t, err)
	return d
}

func put(t *testing.T, s schedule.Spec) *client.ScheduleDescription {
	t.Helper()
	require.NoError(t, schedule.Put(t.Context(), temporalClient, s))
	return described(t, s.ID)
}

func TestPutMakesAScheduleOnceAndCorrectsIt(t *testing.T) {
	s := nightly("corrected")
	d := put(t, s)
	require.Equal(t, "Europe/Berlin", d.Schedule.Spec.TimeZoneName)
	require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, d.Schedule.Policy.Overlap)
	require.Equal(t, time.Hour, d.Schedule.Policy.CatchupWindow)
	require.Equal(t, s.Note, d.Schedule.State.Note)
	expected, err := schedule.Next(s.Cron, s.TimeZone, time.Now(), 3)
	require.NoError(t, err)
	for i, at := range expected { // the jitter is on top
		require.WithinRange(t, d.Info.NextActionTimes[i], at, at.Add(s.Jitter))
	}

	require.Equal(t, d.Info.LastUpdateAt, put(t, s).Info.LastUpdateAt, "what is right is not written again")

	for name, change := range map[string]func(*schedule.Spec){
		"cron":              func(s *schedule.Spec) { s.Cron = "@hourly" },
		"time zone":         func(s *schedule.Spec) { s.TimeZone = "UTC" },
		"overlap":           func(s *schedule.Spec) { s.Overlap = domain.OverlapBufferOne },
		"note":              func(s *schedule.Spec) { s.Note = "Back up store to disk" },
		"workflow":          func(s *schedule.Spec) { s.Workflow = "Other" },
		"input":             func(s *schedule.Spec) { s.Input = "another" },
		"task queue":        func(s *schedule.Spec) { s.TaskQueue = "other" },
		"search attributes": func(s *schedule.Spec) { s.Search = temporal.NewSearchAttributes(contract.SearchJob.ValueSet("daily")) },
		"jitter":            func(s *schedule.Spec) { s.Jitter = time.Minute },
		"catch-up window":   func(s *schedule.Spec) { s.CatchupWindow = 2 * time.Hour },
	} {
		before := put(t, s).Info.LastUpdateAt
		change(&s)
		after := put(t, s).Info.LastUpdateAt
		require.True(t, after.After(before), name)
		require.Equal(t, after, put(t, s).Info.LastUpdateAt, "%s is right now", name)
	}

	for range 2 { // the second time there is nothing
		require.NoError(t, schedule.Remove(t.Context(), temporalClient, s.ID))
	}
	_, err = temporalClient.ScheduleClient().GetHandle(t.Context(), s.ID).Describe(t.Context())
	require.Error(t, err)
}

// The job was to buffer one, and its change was lost after Temporal had taken it, or the other way round.
func TestAListTellsAScheduleThatDiffersInItsOverlapPolicyAlone(t *testing.T) {
	skips, buffers := nightly("listed"), nightly("listed")
	buffers.Overlap = domain.OverlapBufferOne
	for _, c := range []struct{ there, other schedule.Spec }{{skips, buffers}, {buffers, skips}} {
		put(t, c.there)
		require.Eventually(t, func() bool { // lists are a moment behind
			listed, err := schedule.List(t.Context(), temporalClient, "listed")
			require.NoError(t, err)
			entry, is := listed[c.there.ID]
			return is && entry.Fits(c.there)
		}, 2*time.Minute, 20*time.Millisecond)
		listed, err := schedule.List(t.Context(), temporalClient, "listed")
		require.NoError(t, err)
		require.False(t, listed[c.there.ID].Fits(c.other))
	}
	d := described(t, buffers.ID)
	require.Equal(t, "Back up shop to disk (buffers one)", d.Schedule.State.Note)
	require.Equal(t, "Back up shop to disk", d.Schedule.Action.(*client.ScheduleWorkflowAction).StaticSummary, "a run does not")
	buffers.Enabled = false
	require.Equal(t, "Disabled in DataGuardian. Back up shop to disk (buffers one)", put(t, buffers).Schedule.State.Note)
}

func TestADisabledJobIsPausedAndSomebodysPauseStays(t *testing.T) {
	s := nightly("paused")
	s.Enabled = false
	d := put(t, s)
	require.True(t, d.Schedule.State.Paused)
	require.Equal(t, "Disabled in DataGuardian. Back up shop to disk", d.Schedule.State.Note)
	s.Enabled = true
	d = put(t, s)
	require.False(t, d.Schedule.State.Paused)
	require.Equal(t, s.Note, d.Schedule.State.Note)

	handle := temporalClient.ScheduleClient().GetHandle(t.Context(), s.ID)
	require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "the disk is being moved"}))
	s.Cron = "@daily"
	d = put(t, s)
	require.True(t, d.Schedule.State.Paused, "it was somebody's decision")
	require.Equal(t, "the disk is being moved", d.Schedule.State.Note)

	s.Enabled = false
	put(t, s)
	s.Enabled = true
	d = put(t, s)
	require.False(t, d.Schedule.State.Paused, "and is taken back here by disabling and enabling the job")

	require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "again"}))
	require.NoError(t, handle.Unpause(t.Context(), client.ScheduleUnpauseOptions{Note: "and done"}))
	require.Equal(t, s.Note, put(t, s).Schedule.State.Note)
}

func TestAScheduleStartsItsWorkflowWithItsInput(t *testing.T) {
	w := worker.New(temporalClient, "test", worker.Options{})
	got := make(chan string, 1)
	w.RegisterWorkflowWithOptions(func(_ workflow.Context, in map[string]string) error {
		got <- in["job"]
		return nil
	}, workflow.RegisterOptions{Name: "Scheduled"})
	require.NoError(t, w.Start())
	defer w.Stop()
	s := nightly("triggered")
	put(t, s)
	handle := temporalClient.ScheduleClient().GetHandle(t.Context(), s.ID)
	require.NoError(t, handle.Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	select {
	case job := <-got:
		require.Equal(t, "triggered", job)
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was started")
	}
	require.ErrorContains(t, schedule.Put(t.Context(), temporalClient, schedule.Spec{ID: "bad", Cron: "x"}), "five fields")
}

// Somebody has Temporal make up for some nights (a backfill), among them those on which the clock was set.
func TestABackfillOverBothChangesOfTheClockRunsEveryNightOnce(t *testing.T) {
	s := nightly("backfilled")
	s.Enabled, s.Jitter = false, 0 // a paused schedule starts nothing else
	put(t, s)
	zone, err := time.LoadLocation(s.TimeZone)
	require.NoError(t, err)
	handle := temporalClient.ScheduleClient().GetHandle(t.Context(), s.ID)
	var wanted []string
	started := func() (out []string) {
		for _, action := range described(t, s.ID).Info.RecentActions {
			repeat, err := schedule.IsRepeat(s.Cron, s.TimeZone, action.ScheduleTime) // as the first activity of the run asks
			require.NoError(t, err)
			if !repeat {
				out = append(out, action.ScheduleTime.UTC().Format(time.RFC3339))
			}
		}
		return out
	}
	changes := 0
	for at := time.Date(time.Now().Year(), time.January, 1, 0, 0, 0, 0, zone); ; changes++ {
		_, at = at.ZoneBounds()
		if at.Year() != time.Now().Year() {
			break
		}
		from, to := at.Add(-36*time.Hour), at.Add(36*time.Hour)
		runs, err := schedule.Between(s.Cron, s.TimeZone, from, to, 10)
		require.NoError(t, err)
		require.Len(t, runs, 3, "three nights")
		for _, run := range runs {
			wanted = append(wanted, run.Format(time.RFC3339))
		}
		require.NoError(t, handle.Backfill(t.Context(), client.ScheduleBackfillOptions{
			Backfill: []client.ScheduleBackfill{{Start: from, End: to, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL}},
		}))
		// Of two that Temporal is asked for in one moment, it may forget the first.
		require.Eventually(t, func() bool { return len(started()) >= len(wanted) }, 2*time.Minute, 50*time.Millisecond)
	}
	require.Equal(t, 2, changes)
	require.Equal(t, wanted, started())
}
