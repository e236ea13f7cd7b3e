package schedule

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/server/service/worker/scheduler"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/dataguardian/dataguardian/internal/domain"
)

const (
	berlin   = "Europe/Berlin"
	saoPaulo = "America/Sao_Paulo"
)

func utc(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04", text)
	require.NoError(t, err)
	return at
}

func TestACronIsCheckedBeforeItIsSaved(t *testing.T) {
	for _, good := range []string{
		"30 2 * * *", "@daily", "@hourly", "@weekly", " */15 * * * * ", "0 0 1 JAN *", "0 3 * * 7", "0 3 * * 5-7", "0 3 * * mon-fri", "0 0 29 2 *",
	} {
		var v domain.Invalid
		CheckCron(&v, "schedule_cron", good)
		require.Empty(t, v, good)
	}
	for _, bad := range []string{
		"", "x", "* * * *", "0 0 2 * * *", "60 * * * *", "@every 1h", "@reboot", "TZ=UTC 0 2 * * *", "CRON_TZ=UTC 2 * * *", "0 0 30 2 *", "1-0 * * * *",
	} {
		var v domain.Invalid
		CheckCron(&v, "schedule_cron", bad)
		require.Len(t, v, 1, "%q", bad)
		require.Equal(t, "schedule_cron", v[0].Field)
		require.Contains(t, v[0].Message, "for example 30 2 * * *")
	}
	for zone, good := range map[string]bool{"": true, "UTC": true, berlin: true, "Local": false, "Mars/Olympus": false} {
		var v domain.Invalid
		CheckTimeZone(&v, "schedule_timezone", zone)
		require.Equal(t, good, len(v) == 0, zone)
	}
}

func TestEveryTimeOnTheClockIsMetOnce(t *testing.T) {
	for name, c := range map[string]struct {
		cron, zone, from string
		want             []string // in UTC
	}{
		"a usual night":                            {"30 2 * * *", berlin, "2026-01-10 12:00", []string{"2026-01-11 01:30", "2026-01-12 01:30"}},
		"the clock jumps over it":                  {"30 2 * * *", berlin, "2026-03-28 12:00", []string{"2026-03-29 01:30", "2026-03-30 00:30"}},
		"it is shown twice":                        {"30 2 * * *", berlin, "2026-10-24 12:00", []string{"2026-10-25 01:30", "2026-10-26 01:30"}},
		"from between the two":                     {"30 2 * * *", berlin, "2026-10-25 00:45", []string{"2026-10-25 01:30", "2026-10-26 01:30"}},
		"it is shown twice in the west":            {"30 1 * * *", "America/New_York", "2026-10-31 12:00", []string{"2026-11-01 05:30", "2026-11-02 06:30"}},
		"what comes instead is another of its own": {"30 2,3 * * *", berlin, "2026-03-28 12:00", []string{"2026-03-29 01:30", "2026-03-30 00:30", "2026-03-30 01:30"}},
		"several that are jumped over":             {"*/20 2 * * *", berlin, "2026-03-29 00:30", []string{"2026-03-29 01:00", "2026-03-29 01:20", "2026-03-29 01:40", "2026-03-30 00:00"}},
		"midnight is jumped over":                  {"@daily", saoPaulo, "2018-11-03 12:00", []string{"2018-11-04 03:00", "2018-11-05 02:00"}},
		"the last hour of a day is shown twice":    {"30 23 * * *", saoPaulo, "2019-02-16 12:00", []string{"2019-02-17 01:30", "2019-02-18 02:30"}},
		"every hour follows the real time":         {"30 * * * *", berlin, "2026-10-25 00:00", []string{"2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 02:30"}},
		"every hour while the clock jumps":         {"30 * * * *", berlin, "2026-03-29 00:00", []string{"2026-03-29 00:30", "2026-03-29 01:30", "2026-03-29 02:30"}},
		"a day of the month or of the week":        {"0 12 13 * 5", "UTC", "2026-02-11 00:00", []string{"2026-02-13 12:00", "2026-02-20 12:00", "2026-02-27 12:00", "2026-03-06 12:00", "2026-03-13 12:00"}},
		"Sunday as seven":                          {"0 12 * * 7", "UTC", "2026-11-28 00:00", []string{"2026-11-29 12:00", "2026-12-06 12:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			next, err := Next(c.cron, c.zone, utc(t, c.from), len(c.want))
			require.NoError(t, err)
			var got []string
			for _, at := range next {
				got = append(got, at.Format("2006-01-02 15:04"))
			}
			require.Equal(t, c.want, got)
		})
	}
	_, err := Next("nonsense", "UTC", time.Now(), 1)
	require.ErrorContains(t, err, "nonsense")
}

// Temporal's own code reads the calendars that we write, for a year of each zone with both changes of the
// clock; without the repeats it must start exactly what Next says, and never the same time twice.
func TestTemporalStartsWhatNextSaysForAWholeYear(t *testing.T) {
	never := func() int { return 0 }
	builder := scheduler.NewSpecBuilder(never, never)
	for zone, year := range map[string]int{berlin: 2026, saoPaulo: 2018, "UTC": 2026, "America/New_York": 2027, "Australia/Lord_Howe": 2026} {
		for _, cron := range []string{
			"30 2 * * *", "0 0 * * *", "@daily", "*/20 0-3 * * *", "30 23 * * *", "15 2,3 * * *", "0 12 13 * 5", "0 */6 * * *", "0 3 * * 1-5", "59 1 1 * *",
			"@hourly", "*/15 * * * *",
		} {
			if zone == "Australia/Lord_Howe" && (cron == "@hourly" || cron == "*/15 * * * *") {
				continue // Temporal takes every change of a clock for one of an hour: here it leaves out a quarter once a year
			}
			from := time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC)
			w, err := parse(cron, zone)
			require.NoError(t, err)
			compiled, err := builder.NewCompiledSpec(inProto(w.spec(from)))
			require.NoError(t, err)
			var started []time.Time
			for at := from; ; {
				result, err := compiled.GetNextTime("", at)
				require.NoError(t, err)
				if at = result.Nominal; at.Year() > year {
					break
				}
				repeat, err := IsRepeat(cron, zone, at)
				require.NoError(t, err)
				if !repeat {
					started = append(started, at.UTC())
				}
			}
			said, err := Next(cron, zone, from, len(started)+1)
			require.NoError(t, err)
			require.True(t, slices.Equal(said[:len(started)], started), "%s in %s: %s", cron, zone, firstDifference(said, started))
			require.Greater(t, said[len(started)].Year(), year-1)
			require.GreaterOrEqual(t, said[len(started)], time.Date(year, time.December, 31, 0, 0, 0, 0, time.UTC))
		}
	}
}

func firstDifference(said, started []time.Time) string {
	for i := range started {
		if said[i] != started[i] {
			return fmt.Sprintf("said %s, started %s", said[i], started[i])
		}
	}
	return "none"
}

func inProto(spec client.ScheduleSpec) *schedulepb.ScheduleSpec {
	set := func(in []client.ScheduleRange) []*schedulepb.Range {
		var out []*schedulepb.Range
		for _, r := range in {
			out = append(out, &schedulepb.Range{Start: int32(r.Start), End: int32(r.End), Step: int32(r.Step)})
		}
		return out
	}
	out := &schedulepb.ScheduleSpec{TimezoneName: spec.TimeZoneName}
	for _, c := range spec.Calendars {
		out.StructuredCalendar = append(out.StructuredCalendar, &schedulepb.StructuredCalendarSpec{
			Second: set(c.Second), Minute: set(c.Minute), Hour: set(c.Hour), DayOfMonth: set(c.DayOfMonth), Month: set(c.Month),
			Year: set(c.Year), DayOfWeek: set(c.DayOfWeek), Comment: c.Comment,
		})
	}
	for _, i := range spec.Intervals {
		out.Interval = append(out.Interval, &schedulepb.IntervalSpec{Interval: durationpb.New(i.Every), Phase: durationpb.New(i.Offset)})
	}
	if spec.Jitter > 0 {
		out.Jitter = durationpb.New(spec.Jitter)
	}
	return out
}

// A thousand jobs at midnight begin over the five minutes behind it, each at a moment of its own, by Temporal's own code.
func TestAThousandJobsOfOneMinuteAreSpread(t *testing.T) {
	spec := Spec{ID: "backup-job-x", Cron: "0 0 * * *", TimeZone: berlin, Enabled: true, Jitter: 5 * time.Minute, Workflow: "w", TaskQueue: "q"}
	from := utc(t, "2026-01-10 12:00")
	made, err := spec.schedule(from)
	require.NoError(t, err)
	never := func() int { return 0 }
	compiled, err := scheduler.NewSpecBuilder(never, never).NewCompiledSpec(inProto(*made.Spec))
	require.NoError(t, err)
	midnight, minutes := utc(t, "2026-01-10 23:00"), [5]int{}
	for i := range 1000 {
		result, err := compiled.GetNextTime(fmt.Sprintf("backup-job-%d", i), from)
		require.NoError(t, err)
		require.Equal(t, midnight, result.Nominal.UTC())
		late := result.Next.Sub(midnight)
		require.GreaterOrEqual(t, late, time.Duration(0))
		require.Less(t, late, 5*time.Minute)
		minutes[int(late.Minutes())]++
	}
	for _, n := range minutes {
		require.Greater(t, n, 100)
		require.Less(t, n, 300)
	}
}

func TestBetweenTwoTimesRunsAreThoseOfNext(t *testing.T) {
	from, to := utc(t, "2026-03-27 01:30"), utc(t, "2026-03-31 00:30") // both are runs; the clock jumps in between
	got, err := Between("30 2 * * *", berlin, from, to, 10)
	require.NoError(t, err)
	want, err := Next("30 2 * * *", berlin, from, 4)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, to, got[3], "the end is in it")
	got, err = Between("30 2 * * *", berlin, from, to, 2)
	require.NoError(t, err)
	require.Equal(t, want[:2], got)
	got, err = Between("30 2 * * *", berlin, from, from.Add(time.Hour), 2)
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = Between("x", berlin, from, to, 2)
	require.Error(t, err)
}

func TestTheLatestRunIsTheLastOneThatWasDue(t *testing.T) {
	for name, c := range map[string]struct {
		cron, zone, before string
		within             time.Duration
		want               string // in UTC, "" for none
	}{
		"every minute":                      {"* * * * *", "UTC", "2026-06-10 12:00", 24 * time.Hour, "2026-06-10 12:00"},
		"many, hours ago":                   {"* 0-3 * * *", "UTC", "2026-06-10 15:00", 24 * time.Hour, "2026-06-10 03:59"},
		"a night ago":                       {"30 2 * * *", "UTC", "2026-06-11 02:29", 24 * time.Hour, "2026-06-10 02:30"},
		"longer ago":                        {"30 2 * * *", "UTC", "2026-06-10 02:40", 5 * time.Minute, ""},
		"a time that the clock shows twice": {"30 2 * * *", berlin, "2026-10-25 01:34", 5 * time.Minute, "2026-10-25 01:30"},
		"a time that the clock jumped over": {"30 2 * * *", berlin, "2026-03-29 01:32", 5 * time.Minute, "2026-03-29 01:30"},
		"nothing, as nothing may be later":  {"* * * * *", "UTC", "2026-06-10 12:00", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Latest(c.cron, c.zone, utc(t, c.before), c.within)
			require.NoError(t, err)
			if c.want == "" {
				require.Zero(t, got)
			} else {
				require.Equal(t, c.want, got.UTC().Format("2006-01-02 15:04"))
			}
		})
	}
	_, err := Latest("x", "UTC", time.Now(), time.Hour)
	require.Error(t, err)
}
