package notify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Event is what happened, as templates see it: its exported fields, but not Metadata, are their variables.
type Event struct {
	ID         string
	Type       domain.NotificationType
	Severity   domain.Severity
	Title      string
	Message    string // what went wrong, or what else there is to say; may be long
	Time       time.Time
	EntityType domain.EntityType
	EntityID   string

	Job          string // names; "" where there is none
	Datasource   string
	Source       string // of a sync
	Target       string // of a sync or a drill
	Storage      string
	ExecutionID  string
	Operation    string
	Trigger      string
	Status       string
	FailureClass string
	Hint         string // what the failure says to do
	Advice       string // Hint, or what to do about events of the type
	Duration     time.Duration
	SizeBytes    int64
	StoredBytes  int64
	Link         string // of the execution in the API, "" where no public address is set
	TemporalURL  string // of the workflow in Temporal's web UI

	Count    int    // of the events that a digest stands for; 1
	Flapping bool   // its source changes its state often
	Repeat   bool   // its receiver may have had it before, and can not tell by an id
	Test     bool   // it is a sample
	Facts    []Fact // what else is known, for lists
	Metadata map[string]any
}

// Fact is one line of a list.
type Fact struct{ Name, Value string }

// Complete fills in what follows from the other fields.
func (e Event) Complete() Event {
	e.Count = max(e.Count, 1)
	e.Advice = e.Hint
	if e.Advice == "" {
		e.Advice = advice[e.Type]
	}
	if e.Repeat && !strings.HasPrefix(e.Message, repeatNote) { // in front: what is too long loses its end
		e.Message = strings.TrimSpace(repeatNote + "\n" + e.Message)
	}
	if e.Flapping && !strings.HasSuffix(e.Message, flappingNote) {
		e.Message = strings.TrimSpace(e.Message + "\n" + flappingNote)
	}
	e.Facts = nil
	add := func(name, value string) {
		if value != "" {
			e.Facts = append(e.Facts, Fact{name, value})
		}
	}
	add("Severity", string(e.Severity))
	add("Datasource", e.Datasource)
	add("Source", e.Source)
	add("Target", e.Target)
	add("Storage", e.Storage)
	add("Job", e.Job)
	add("Started by", e.Trigger)
	if e.Duration > 0 {
		add("Took", formatDuration(e.Duration))
	}
	if e.SizeBytes > 0 {
		add("Size", formatBytes(e.SizeBytes))
	}
	if e.StoredBytes > 0 {
		add("Stored", formatBytes(e.StoredBytes))
	}
	add("Failure", e.FailureClass)
	add("Execution", e.ExecutionID)
	if !e.Time.IsZero() {
		add("Time", e.Time.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	return e
}

// FromMetadata fills in what the notification's metadata tells. publicURL is the API's address for links, ""
// for none.
func (e Event) FromMetadata(publicURL string) Event {
	text := func(name string) string { value, _ := e.Metadata[name].(string); return value }
	number := func(name string) int64 { value, _ := e.Metadata[name].(float64); return int64(value) }
	e.Job, e.Datasource, e.Storage, e.Source, e.Target = text("job"), text("datasource"), text("storage"), text("source"), text("target")
	e.ExecutionID, e.Operation, e.Trigger, e.Status = text("execution_id"), text("operation"), text("trigger"), text("status")
	e.FailureClass, e.Hint, e.TemporalURL = text("failure_class"), text("hint"), text("temporal_url")
	e.Duration = time.Duration(number("duration_seconds")) * time.Second
	e.SizeBytes, e.StoredBytes = number("size_bytes"), number("stored_bytes")
	path := text("path")
	if path == "" && e.ExecutionID != "" {
		path = "/api/executions/" + e.ExecutionID
	}
	if publicURL != "" && path != "" {
		e.Link = strings.TrimRight(publicURL, "/") + path
	}
	return e
}

const repeatNote = "(You may have had this message before: an earlier attempt broke off, and nobody knows whether it arrived.)"

const flappingNote = "It has been changing its state often; changes in between are not sent, and where it stands is told when it has kept still for a while."

// advice is what to do where the event itself does not say.
var advice = map[domain.NotificationType]string{
	domain.NotifyBackupFailed:       "Look at the execution's log, mend the cause, and run the job again; until then the newest backup is the one before.",
	domain.NotifyRestoreFailed:      "Look at the execution's log; the target is as it was before unless the log says otherwise.",
	domain.NotifyConnectionLost:     "Check that the server runs and that the worker reaches it; its backups fail until then.",
	domain.NotifyStorageFull:        "Free space, raise the quota, or let retention delete more; backups to it fail until then.",
	domain.NotifyStorageUnreachable: "Check that the storage runs and that the worker reaches it; backups to it fail until then.",
	domain.NotifyHealthDegraded:     "Look at its health before it becomes a failure.",
	domain.NotifySyncFailed:         "Look at the executions of the sync: the target holds what it held before unless a log says otherwise.",
	domain.NotifyRestoreDrillFailed: "Do not rely on this backup: look at the drill's log, and make and verify a new backup.",
}

// digestShown is how many of the events of a digest are named.
const digestShown = 10

// Digest is one event that stands for many, the oldest first. There is at least one.
func Digest(events []Event) Event {
	counts := map[domain.NotificationType]int{}
	worst := events[0]
	for _, e := range events {
		counts[e.Type]++
		if e.Severity.AtLeast(worst.Severity) && !worst.Severity.AtLeast(e.Severity) {
			worst = e
		}
	}
	types := slices.Collect(maps.Keys(counts))
	slices.SortFunc(types, func(a, b domain.NotificationType) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	parts := make([]string, len(types))
	for i, t := range types {
		parts[i] = fmt.Sprintf("%d %s", counts[t], t)
	}
	first, last := events[0], events[len(events)-1]
	out := Event{
		ID: worst.ID, Type: worst.Type, Severity: worst.Severity, Time: last.Time, EntityType: domain.EntitySystem, Count: len(events),
		Title: fmt.Sprintf("%d notifications: %s", len(events), strings.Join(parts, ", ")), Test: first.Test,
	}
	var lines []string
	for _, e := range worstFirst(events)[:min(len(events), digestShown)] {
		lines = append(lines, "- "+e.Title)
	}
	if more := len(events) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("- and %d more", more))
	}
	out.Message = strings.Join(lines, "\n")
	if out.Repeat = first.Repeat; out.Repeat {
		out.Message = repeatNote + "\n" + out.Message
	}
	out.Facts = []Fact{{"Severity", string(out.Severity)}, {"Notifications", fmt.Sprint(len(events))},
		{"From", first.Time.UTC().Format("2006-01-02 15:04:05 UTC")}, {"To", last.Time.UTC().Format("2006-01-02 15:04:05 UTC")}}
	out.Advice = "The API's /api/notifications lists all of them."
	return out
}

// worstFirst are events by their severity; those that are equally bad stay in their order.
func worstFirst(events []Event) []Event {
	return slices.SortedStableFunc(slices.Values(events), func(a, b Event) int {
		switch {
		case !b.Severity.AtLeast(a.Severity):
			return -1
		case !a.Severity.AtLeast(b.Severity):
			return 1
		default:
			return 0
		}
	})
}

// Sample is an event to try a channel or a template with.
func Sample(t domain.NotificationType, now time.Time) Event {
	e := Event{
		ID: "00000000-0000-7000-8000-000000000001", Type: t, Severity: domain.SeverityOf(t), Time: now, Test: true,
		EntityType: domain.EntityBackupJob, EntityID: "00000000-0000-7000-8000-000000000002",
		Title: "Sample: " + strings.ReplaceAll(string(t), "_", " "), Message: "This is a sample of DataGuardian's notifications. Nothing happened.",
		Job: "orders nightly", Datasource: "orders", Source: "orders", Target: "orders copy", Storage: "offsite", ExecutionID: "00000000-0000-7000-8000-000000000003",
		Operation: "backup", Trigger: "manual", Status: "completed", Duration: 83 * time.Second, SizeBytes: 1_250_000_000, StoredBytes: 310_000_000,
	}
	if e.Severity != domain.SeverityInfo {
		e.Status, e.FailureClass, e.Hint = "failed", "Unreachable", "Check that the server runs."
	}
	return e.withoutForeign().Complete()
}

func formatBytes(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, suffix := float64(n), ""
	for _, s := range []string{"kB", "MB", "GB", "TB", "PB"} {
		value /= unit
		suffix = s
		if value < unit {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, suffix)
}

func formatDuration(d time.Duration) string { return d.Round(time.Second).String() }
