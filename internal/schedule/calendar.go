package schedule

import (
	"math/bits"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
)

const (
	// yearsAhead is for how many years after this one a schedule names what is special when a clock is set. Reconciling
	// moves it on.
	yearsAhead = 2
	// maxTwice bounds the times that are named for one night on which a clock is set back; a cron with more of them
	// may miss one.
	maxTwice = 6
)

// spec says the same as the cron in the words of a Temporal schedule, which may start more than that: see IsRepeat. now
// decides for which years the changes of the clock are named.
func (w when) spec(now time.Time) client.ScheduleSpec {
	out := client.ScheduleSpec{Calendars: w.calendars(), TimeZoneName: w.zone.String()}
	if w.everyHour() {
		if w.sameInUTC(now) {
			// Temporal leaves out an hour when a clock east of Greenwich is set back.
			out.TimeZoneName = time.UTC.String()
		}
		return out
	}
	first := now.In(w.zone).Year()
	until := time.Date(first+yearsAhead+1, time.January, 1, 0, 0, 0, 0, w.zone)
	for at := time.Date(first, time.January, 1, 0, 0, 0, 0, w.zone); ; {
		_, change := at.ZoneBounds()
		if change.IsZero() || change.After(until) {
			return out
		}
		out.Calendars = append(out.Calendars, w.jumped(change)...)
		out.Intervals = append(out.Intervals, w.shownTwice(change)...)
		at = change
	}
}

// sameInUTC reports whether the time zone makes no difference to a cron of every hour.
func (w when) sameInUTC(now time.Time) bool {
	everyDay := w.times.Dom&starBit != 0 && w.times.Dow&starBit != 0 && w.times.Month&starBit != 0
	halfYear := now.AddDate(0, 6, 0)
	return everyDay && offset(now.In(w.zone))%time.Hour == 0 && offset(halfYear.In(w.zone))%time.Hour == 0
}

func (w when) calendars() []client.ScheduleCalendarSpec {
	day := client.ScheduleCalendarSpec{
		Second: []client.ScheduleRange{{}},
		Minute: ranges(w.times.Minute, 0, 59), Hour: ranges(w.times.Hour, 0, 23), Month: ranges(w.times.Month, 1, 12),
		DayOfMonth: ranges(w.times.Dom, 1, 31), DayOfWeek: ranges(w.times.Dow, 0, 6),
		Comment: w.text,
	}
	out := []client.ScheduleCalendarSpec{day}
	if w.times.Dom&starBit == 0 && w.times.Dow&starBit == 0 { // either is enough, as cron has always had it
		out = []client.ScheduleCalendarSpec{day, day}
		out[0].DayOfWeek, out[1].DayOfMonth = ranges(^uint64(0), 0, 6), ranges(^uint64(0), 1, 31)
	}
	return out
}

// jumped are the times that the clock jumps over at change, as much later as it jumps.
func (w when) jumped(change time.Time) []client.ScheduleCalendarSpec {
	before, after := offset(change.Add(-time.Second).In(w.zone)), offset(change.In(w.zone))
	end := change.UTC().Add(after)
	minutes := map[time.Time]uint64{} // by the hour
	var missed []string
	for wall := w.times.Next(change.UTC().Add(before - time.Second)); !wall.IsZero() && wall.Before(end); wall = w.times.Next(wall) {
		instead := wallOf(wall.Add(-before).In(w.zone))
		minutes[instead.Truncate(time.Hour)] |= 1 << instead.Minute()
		missed = append(missed, wall.Format("15:04"))
	}
	var out []client.ScheduleCalendarSpec
	for hour, set := range minutes {
		exactly := func(value int) []client.ScheduleRange {
			return []client.ScheduleRange{{Start: value, End: value, Step: 1}}
		}
		out = append(out, client.ScheduleCalendarSpec{
			Second: []client.ScheduleRange{{}}, Minute: ranges(set, 0, 59), Hour: exactly(hour.Hour()),
			DayOfMonth: exactly(hour.Day()), Month: exactly(int(hour.Month())), Year: exactly(hour.Year()), DayOfWeek: ranges(^uint64(0), 0, 6),
			Comment: "the clock jumps over " + strings.Join(missed[:min(len(missed), 6)], ", "),
		})
	}
	slices.SortFunc(out, func(a, b client.ScheduleCalendarSpec) int { return a.Hour[0].Start - b.Hour[0].Start })
	return out
}

// shownTwice are the times that the clock shows twice at change, each once: what the calendars give for them depends on
// where the search begins.
func (w when) shownTwice(change time.Time) []client.ScheduleIntervalSpec {
	before, after := offset(change.Add(-time.Second).In(w.zone)), offset(change.In(w.zone))
	var out []client.ScheduleIntervalSpec
	end := change.UTC().Add(before)
	for wall := w.times.Next(change.UTC().Add(after - time.Second)); !wall.IsZero() && wall.Before(end); wall = w.times.Next(wall) {
		if len(out) == maxTwice {
			return nil
		}
		// An interval as long as it is since 1970 is met at that moment, and again half a century later.
		out = append(out, client.ScheduleIntervalSpec{Every: time.Duration(w.instant(wall).Unix()) * time.Second})
	}
	return out
}

// ranges writes a set of numbers as briefly as it goes.
func ranges(set uint64, low, high int) []client.ScheduleRange {
	set = set &^ starBit >> low << low
	set &= 1<<(high+1) - 1
	var out []client.ScheduleRange
	for set != 0 {
		start := bits.TrailingZeros64(set)
		set &^= 1 << start
		step := 1
		if set != 0 {
			step = bits.TrailingZeros64(set) - start
		}
		end := start
		for end+step <= high && set&(1<<(end+step)) != 0 {
			end += step
			set &^= 1 << end
		}
		out = append(out, client.ScheduleRange{Start: start, End: end, Step: step})
	}
	return out
}
