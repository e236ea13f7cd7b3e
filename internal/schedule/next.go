package schedule

import (
	"fmt"
	"time"
)

// maxJump is more than any clock was ever set forward or back at once, and less than the time between two changes.
const maxJump = 4 * time.Hour

// Next is when the cron runs, the first n times after from, in UTC and in order; fewer, if it ends before.
// The jitter of a schedule comes on top.
func Next(cron, timeZone string, from time.Time, n int) ([]time.Time, error) {
	return runs(cron, timeZone, from, n, func(time.Time) bool { return false })
}

// Between is when the cron runs after from and no later than to, in UTC and in order: the first most times.
func Between(cron, timeZone string, from, to time.Time, most int) ([]time.Time, error) {
	return runs(cron, timeZone, from, most, to.Before)
}

// Latest is when the cron ran last, no later than before and less than within ago; zero when it did not.
func Latest(cron, timeZone string, before time.Time, within time.Duration) (time.Time, error) {
	for back := min(within, 10*time.Minute); ; back = min(within, 4*back) {
		runs, err := Between(cron, timeZone, before.Add(-back), before, int(back/time.Minute)+1)
		switch {
		case err != nil:
			return time.Time{}, err
		case len(runs) > 0:
			return runs[len(runs)-1], nil
		case back == within:
			return time.Time{}, nil
		}
	}
}

// runs are the first most ones after from, up to the one that is too late.
func runs(cron, timeZone string, from time.Time, most int, tooLate func(time.Time) bool) ([]time.Time, error) {
	w, err := parse(cron, timeZone)
	if err != nil {
		return nil, fmt.Errorf("cron %q in time zone %q: %w", cron, timeZone, err)
	}
	var out []time.Time
	for len(out) < most {
		if from = w.next(from); from.IsZero() || tooLate(from) {
			break
		}
		out = append(out, from)
	}
	return out, nil
}

// IsRepeat reports whether a run that a schedule started for the nominal time at is one too many: around the moment
// at which a clock is set back Temporal starts what the clock shows twice, or would have shown, more than once. The first
// activity of a scheduled run asks; what people start by hand is no repeat.
func IsRepeat(cron, timeZone string, at time.Time) (bool, error) {
	w, err := parse(cron, timeZone)
	if err != nil {
		return false, fmt.Errorf("cron %q in time zone %q: %w", cron, timeZone, err)
	}
	at = at.In(w.zone)
	isSetBack := offset(at.Add(-maxJump)) > offset(at.Add(maxJump))
	named := at.Second() == 0 && at.Nanosecond() == 0 && w.times.Minute&(1<<at.Minute()) != 0
	return isSetBack && named && !w.everyHour() && !w.next(at.Add(-time.Second)).Equal(at), nil
}

func (w when) next(from time.Time) time.Time {
	if w.everyHour() {
		times := *w.times
		times.Location = w.zone
		if next := times.Next(from); !next.IsZero() {
			return next.UTC()
		}
		return time.Time{}
	}
	if next, is := w.nextOfPeriod(from); is {
		return next
	}
	return w.nextAround(from)
}

// nextAround is next near a change of the clock: times that it jumped over come later than what it shows, and so out of order.
func (w when) nextAround(from time.Time) (first time.Time) {
	wall := wallOf(from.In(w.zone)).Add(-maxJump)
	last := time.Time{}
	for wall = w.times.Next(wall); !wall.IsZero() && (last.IsZero() || wall.Before(last)); wall = w.times.Next(wall) {
		at := w.instant(wall)
		if !at.After(from) {
			continue
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if last.IsZero() {
			last = wall.Add(maxJump)
		}
	}
	return first
}

// nextOfPeriod is next where the clock is neither set forward nor back near from and near what is next, nor in between: nearly always, and
// there every time comes once and in order.
func (w when) nextOfPeriod(from time.Time) (next time.Time, is bool) {
	local := from.In(w.zone)
	begins, ends := local.ZoneBounds() // zero for a zone without changes
	wall := w.times.Next(wallOf(local))
	if wall.IsZero() {
		return time.Time{}, false
	}
	next = wall.Add(-offset(local))
	return next, (begins.IsZero() || begins.Before(from.Add(-maxJump))) && (ends.IsZero() || ends.After(next.Add(maxJump)))
}

// wallOf is what the clock shows at t, written as UTC.
func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// instant is when the clock shows wall. If it does twice, it is the one that Go takes, as Temporal does too: the first
// west of Greenwich, the second east of it. If it never does, it is as much later as the clock jumped.
func (w when) instant(wall time.Time) time.Time {
	near := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, w.zone)
	if wallOf(near).Equal(wall) {
		return near.UTC()
	}
	return wall.Add(-offset(near.Add(-maxJump)))
}

// offset is how far the clock is ahead of UTC at t.
func offset(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}
