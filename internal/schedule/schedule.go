package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// answerTimeout bounds one change of a schedule, which is several writes: a small Temporal server that runs
// backups meanwhile takes its time.
const answerTimeout = 30 * time.Second

// pausedNote begins the note of a schedule that is paused because its job is disabled. A pause with any other note
// is somebody's own, made in Temporal.
const pausedNote = "Disabled in DataGuardian. "

// buffersNote ends the note of a schedule that does not skip. Temporal's lists show notes, and not what becomes of a run that is due
// meanwhile: without it, one that differs in that alone would look right.
const buffersNote = " (buffers one)"

// Spec is a schedule as it should be. The workflow ids of its runs are the schedule's id and the nominal time.
type Spec struct {
	ID            string
	Cron          string // as CheckCron takes it
	TimeZone      string // as CheckTimeZone takes it
	Enabled       bool
	Overlap       domain.OverlapPolicy // "" is skip
	Note          string               // what it is for, in a line: the Temporal UI shows it, also at each run
	Workflow      string
	Input         any
	TaskQueue     string
	Search        temporal.SearchAttributes // of the runs and of the schedule itself
	Jitter        time.Duration             // a run starts up to so much later, each schedule at a moment of its own
	CatchupWindow time.Duration             // how late a run that an outage prevented is still started; 0 is Temporal's year
}

// Put makes the schedule, or gives the one that is there what it lacks; nothing is written when it is right. A
// pause that somebody made in Temporal stays until the job is disabled, or until they end it. Errors: those of parsing, and Temporal's.
func Put(ctx context.Context, c client.Client, s Spec) error {
	wanted, err := s.schedule(time.Now())
	if err != nil {
		return fmt.Errorf("schedule %s: %w", s.ID, err)
	}
	ctx, stop := context.WithTimeout(ctx, answerTimeout)
	defer stop()
	_, err = c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: s.ID, Spec: *wanted.Spec, Action: wanted.Action, Note: wanted.State.Note, Paused: wanted.State.Paused,
		Overlap: wanted.Policy.Overlap, CatchupWindow: wanted.Policy.CatchupWindow, TypedSearchAttributes: s.Search,
		Memo: map[string]any{"Made by": "DataGuardian, which corrects what is changed here; a pause stays"},
	})
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return wrap(err, "create", s.ID)
	}
	return write(ctx, c, s.ID, func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		there, wanted := in.Description.Schedule, wanted
		if s.Enabled {
			wanted.State = mayPause(wanted.State, there)
		}
		return skipSame(there, wanted, &s.Search, maps.Equal(values(in.Description.TypedSearchAttributes), values(s.Search)))
	})
}

// Remove deletes the schedule; one that is not there is no error. Runs that go on are not touched.
func Remove(ctx context.Context, c client.Client, id string) error {
	ctx, stop := context.WithTimeout(ctx, answerTimeout)
	defer stop()
	err := c.ScheduleClient().GetHandle(ctx, id).Delete(ctx)
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return nil
	}
	return wrap(err, "delete", id)
}

func wrap(err error, what, id string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s schedule %s: %w", what, id, err)
}

func pausedInTemporal(paused bool, note string) bool {
	return paused && !strings.HasPrefix(note, pausedNote)
}

// schedule is s as Temporal takes it.
func (s Spec) schedule(now time.Time) (client.Schedule, error) {
	w, err := parse(s.Cron, s.TimeZone)
	if err != nil {
		return client.Schedule{}, err
	}
	input, err := json.Marshal(s.Input)
	if err != nil {
		return client.Schedule{}, err
	}
	state := &client.ScheduleState{Note: s.Note}
	overlap := enumspb.SCHEDULE_OVERLAP_POLICY_SKIP
	if s.Overlap == domain.OverlapBufferOne {
		overlap = enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE
		state.Note += buffersNote
	}
	spec := w.spec(now)
	spec.Jitter = s.Jitter
	if !s.Enabled {
		state.Note, state.Paused = pausedNote+state.Note, true
	}
	return client.Schedule{
		Action: &client.ScheduleWorkflowAction{
			ID: s.ID, Workflow: s.Workflow, Args: []any{json.RawMessage(input)}, TaskQueue: s.TaskQueue, StaticSummary: s.Note,
			Memo:                  map[string]any{"Schedule": w.text + " " + w.zone.String()},
			TypedSearchAttributes: s.Search,
		},
		Spec:   &spec,
		Policy: &client.SchedulePolicies{Overlap: overlap, CatchupWindow: s.CatchupWindow},
		State:  state,
	}, nil
}

// same compares what we set of a schedule with what Temporal has.
func same(there, wanted client.Schedule) bool {
	a, isWorkflow := there.Action.(*client.ScheduleWorkflowAction)
	b, _ := wanted.Action.(*client.ScheduleWorkflowAction)
	return isWorkflow && a.ID == b.ID && a.Workflow == b.Workflow && a.TaskQueue == b.TaskQueue && a.StaticSummary == b.StaticSummary &&
		len(a.Args) == 1 && textOf(a.Args[0]) == textOf(b.Args[0]) &&
		maps.Equal(texts(a.Memo), texts(b.Memo)) && maps.Equal(values(a.TypedSearchAttributes), values(b.TypedSearchAttributes)) &&
		specText(there.Spec) == specText(wanted.Spec) &&
		there.Policy.Overlap == wanted.Policy.Overlap && !there.Policy.PauseOnFailure &&
		(wanted.Policy.CatchupWindow == 0 || there.Policy.CatchupWindow == wanted.Policy.CatchupWindow) &&
		*there.State == *wanted.State
}

func specText(s *client.ScheduleSpec) string {
	out := fmt.Sprintf("%s %s %v %d %t %t", s.TimeZoneName, s.Jitter, s.Intervals, len(s.Skip), s.StartAt.IsZero(), s.EndAt.IsZero())
	for _, c := range s.Calendars {
		for _, set := range [][]client.ScheduleRange{c.Second, c.Minute, c.Hour, c.DayOfMonth, c.Month, c.Year, c.DayOfWeek} {
			out += "\n"
			for _, r := range set { // Temporal leaves out an end that is the start, and a step of one
				out += fmt.Sprintf("%d-%d/%d ", r.Start, max(r.Start, r.End), max(r.Step, 1))
			}
		}
		out += c.Comment
	}
	return out
}

func values(s temporal.SearchAttributes) map[string]string {
	out := map[string]string{}
	for key, value := range s.GetUntypedValues() {
		out[key.GetName()] = fmt.Sprint(value)
	}
	return out
}

func texts(memo map[string]any) map[string]string {
	out := map[string]string{}
	for key, value := range memo {
		out[key] = textOf(value)
	}
	return out
}

// textOf is the JSON of a value, which comes back from Temporal as a payload.
func textOf(value any) string {
	switch v := value.(type) {
	case *commonpb.Payload:
		return string(v.GetData())
	case json.RawMessage:
		return string(v)
	default:
		text, _ := json.Marshal(v) // of texts: it can not fail
		return string(text)
	}
}
