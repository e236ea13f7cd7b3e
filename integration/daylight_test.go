package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	temporal "go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// changesOf are the two moments of a year at which a zone sets its clocks.
func changesOf(t *testing.T, zone *time.Location, year int) (changes []time.Time) {
	t.Helper()
	for at := time.Date(year, time.January, 1, 0, 0, 0, 0, zone); ; {
		_, end := at.ZoneBounds()
		if end.Year() != year {
			require.Len(t, changes, 2)
			return changes
		}
		changes, at = append(changes, end), end
	}
}

// Temporal starts what the schedule has in the nights around both changes of the clock of next year: a night has one backup, at the
// time on the clock, or as much later as the clock jumps over it.
func TestAJobAtHalfPastTwoRunsOnceANightWhenTheClockIsSet(t *testing.T) {
	i := newIsland(t)
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	job := i.filesJob("nightly", 1000, client.BackupJobDocument{
		ScheduleCron: "30 2 * * *", ScheduleTimezone: zone.String(), RetentionPolicy: &domain.RetentionPolicy{MaxBackups: 100},
	})
	changes := changesOf(t, zone, time.Now().Year()+1)
	want := map[string]string{}
	var nights []temporal.ScheduleBackfill
	for _, change := range changes {
		day := time.Date(change.Year(), change.Month(), change.Day(), 0, 0, 0, 0, zone)
		nights = append(nights, temporal.ScheduleBackfill{
			Start: day.AddDate(0, 0, -1), End: day.AddDate(0, 0, 2), Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
		})
		for _, k := range []int{-1, 0, 1} {
			want[day.AddDate(0, 0, k).Format(time.DateOnly)] = "02:30"
		}
	}
	want[changes[0].Format(time.DateOnly)] = "03:30" // there is no 02:30

	handle := i.dialled.ScheduleClient().GetHandle(t.Context(), contract.BackupScheduleID(job.ID))
	require.NoError(t, handle.Backfill(t.Context(), temporal.ScheduleBackfillOptions{Backfill: nights}))
	last := changes[1].AddDate(0, 0, 1).Format(time.DateOnly)
	completed := func() map[string]string { // the times on the clock, by the night
		times := map[string]string{}
		executions, err := i.owner.ListExecutions(t.Context(), client.ExecutionFilter{Job: job.ID})
		require.NoError(t, err)
		for _, e := range executions {
			if e.Status == domain.Completed {
				due := e.Metadata.ScheduledFor.In(zone)
				require.NotContains(t, times, due.Format(time.DateOnly), "a second one in a night")
				times[due.Format(time.DateOnly)] = due.Format("15:04")
			}
		}
		return times
	}
	require.Eventually(t, func() bool { return completed()[last] != "" }, patience, 100*time.Millisecond, "they run one after the other, this one last")
	require.Equal(t, want, completed(), "none of them is old enough to go")
	executions, err := i.owner.ListExecutions(t.Context(), client.ExecutionFilter{Job: job.ID})
	require.NoError(t, err)
	require.Len(t, executions, len(want), "nor any that did not complete")
}
