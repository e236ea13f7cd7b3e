// Package schedule turns a job's cron and time zone into a Temporal schedule, and says when it runs.
//
// Across daylight-saving changes a job runs as people expect of a clock on the wall: every time that its cron
// names is met once. A time that the clock jumps over is run as much later as the clock jumped, and a time that the
// clock shows twice is run at one of the two. A cron of every hour follows the real time instead.
package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a host without time zones would refuse every one

	"github.com/robfig/cron/v3"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// maxCronLength bounds a cron text, which is shown as a comment in the Temporal UI.
const maxCronLength = 100

// named are the forms that are no five fields.
var named = []string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}

// fields reads what five fields say; sets of the fields are bits.
var fields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

const (
	starBit  = 1 << 63 // the parser's mark of a field that restricts nothing
	allHours = 1<<24 - 1
)

// when is a cron in a time zone.
type when struct {
	text  string
	times *cron.SpecSchedule // of a clock on the wall, written as UTC
	zone  *time.Location
}

// parse reads both. A time zone that is not given is UTC.
func parse(text, timeZone string) (when, error) {
	times, err := parseCron(text)
	if err != nil {
		return when{}, err
	}
	zone, err := parseTimeZone(timeZone)
	if err != nil {
		return when{}, err
	}
	return when{text: strings.TrimSpace(text), times: times, zone: zone}, nil
}

// zones are the time zones that were read: reading one takes longer than all the rest, and lists go through thousands of jobs.
var zones sync.Map

func parseTimeZone(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, errors.New("it is the time zone of whichever machine reads it")
	}
	if known, is := zones.Load(name); is {
		return known.(*time.Location), nil
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		zones.Store(name, zone)
	}
	return zone, err
}

// crons are those that were read: a list reads that of every job two times, and nobody changes what was read.
var crons = struct {
	sync.Mutex
	read map[string]*cron.SpecSchedule
}{read: map[string]*cron.SpecSchedule{}}

// mostCrons bounds them; then they are read anew.
const mostCrons = 10_000

func parseCron(text string) (*cron.SpecSchedule, error) {
	text = strings.TrimSpace(text)
	crons.Lock()
	known, is := crons.read[text]
	crons.Unlock()
	if is {
		return known, nil
	}
	times, err := readCron(text)
	if err != nil {
		return nil, err
	}
	crons.Lock()
	defer crons.Unlock()
	if len(crons.read) >= mostCrons {
		clear(crons.read)
	}
	crons.read[text] = times
	return times, nil
}

func readCron(text string) (*cron.SpecSchedule, error) {
	parts := strings.Fields(text)
	switch {
	case len(text) > maxCronLength:
		return nil, fmt.Errorf("it is longer than %d characters", maxCronLength)
	case strings.HasPrefix(text, "@"):
		if !slices.Contains(named, text) {
			return nil, fmt.Errorf("there is no %s", text)
		}
	case len(parts) != 5 || strings.Contains(text, "="):
		return nil, fmt.Errorf("it has not five fields")
	default:
		parts[4] = sundayAsZero(parts[4])
		text = strings.Join(parts, " ")
	}
	parsed, err := fields.Parse(text)
	if err != nil {
		return nil, err
	}
	times, isSpec := parsed.(*cron.SpecSchedule)
	if !isSpec {
		return nil, errors.New("it is no calendar")
	}
	times.Location = time.UTC
	if times.Next(time.Now().UTC()).IsZero() {
		return nil, errors.New("no day of the calendar fits it")
	}
	return times, nil
}

// sundayAsZero writes the 7 that other crons take for Sunday as the parser knows it.
func sundayAsZero(days string) string {
	items := strings.Split(days, ",")
	for i, item := range items {
		if item == "7" {
			items[i] = "0"
		} else if first, isRange := strings.CutSuffix(item, "-7"); isRange {
			items[i] = first + "-6,0"
		}
	}
	return strings.Join(items, ",")
}

// everyHour tells a cron that follows the real time from one that names times of the day.
func (w when) everyHour() bool { return w.times.Hour&allHours == allHours }

// CheckCron records what is wrong with a cron that is not empty.
func CheckCron(v *domain.Invalid, field, text string) {
	if _, err := parseCron(text); err != nil {
		v.Add(field, "is %q: %v; give minute, hour, day of the month, month and day of the week, for example 30 2 * * *, or one of %s",
			text, err, strings.Join(named, ", "))
	}
}

// CheckTimeZone records what is wrong with a time zone; none is UTC.
func CheckTimeZone(v *domain.Invalid, field, name string) {
	if _, err := parseTimeZone(name); err != nil {
		v.Add(field, "is %q; give an IANA time zone, for example Europe/Lisbon", name)
	}
}
