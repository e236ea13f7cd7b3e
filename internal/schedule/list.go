package schedule

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
)

// listedSpecs is how many parts of a schedule Temporal shows in a list.
const listedSpecs = 10

// Listed is a schedule as a list of Temporal's shows it.
type Listed struct {
	ID string
	// Pause is why somebody has paused it in Temporal, "" when nobody has.
	Pause string

	paused bool
	note   string
	spec   client.ScheduleSpec
}

// List reads every schedule whose id begins with one of the prefixes, by their ids. What was changed in the last seconds may be missing.
func List(ctx context.Context, c client.Client, prefixes ...string) (map[string]Listed, error) {
	entries, err := c.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 1000})
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	out := map[string]Listed{}
	for entries.HasNext() {
		entry, err := entries.Next()
		if err != nil {
			return nil, fmt.Errorf("list schedules: %w", err)
		}
		for _, prefix := range prefixes {
			if !strings.HasPrefix(entry.ID, prefix) {
				continue
			}
			l := Listed{ID: entry.ID, paused: entry.Paused, note: entry.Note}
			if entry.Spec != nil {
				l.spec = *entry.Spec
			}
			l.Pause = pauseOf(l.paused, l.note)
			out[entry.ID] = l
		}
	}
	return out, nil
}

// PauseOf is why somebody has paused the schedule in Temporal, "" when nobody has or when there is none: as it is now, which a list shows
// a moment later.
func PauseOf(ctx context.Context, c client.Client, id string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, answerTimeout)
	defer stop()
	described, err := c.ScheduleClient().GetHandle(ctx, id).Describe(ctx)
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return "", nil
	}
	if err != nil {
		return "", wrap(err, "read", id)
	}
	return pauseOf(described.Schedule.State.Paused, described.Schedule.State.Note), nil
}

// pauseOf is why somebody has paused a schedule in Temporal, "" when nobody has.
func pauseOf(paused bool, note string) string {
	switch {
	case !pausedInTemporal(paused, note):
		return ""
	case note == "":
		return "paused in Temporal"
	default:
		return note
	}
}

// Fits reports whether what the list shows is as s wants it. What a run is given is not shown.
func (l Listed) Fits(s Spec) bool {
	wanted, err := s.schedule(time.Now())
	if err != nil {
		return false
	}
	isPaused := l.paused == wanted.State.Paused && l.note == wanted.State.Note
	return (isPaused || s.Enabled && l.Pause != "") && specText(shown(l.spec)) == specText(shown(*wanted.Spec))
}

// shown is what a list shows of a spec.
func shown(s client.ScheduleSpec) *client.ScheduleSpec {
	s.Calendars = s.Calendars[:min(len(s.Calendars), listedSpecs)]
	s.Intervals = s.Intervals[:min(len(s.Intervals), listedSpecs)]
	return &s
}
