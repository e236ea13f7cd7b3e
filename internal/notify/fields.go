package notify

import (
	"reflect"
	"slices"

	"github.com/dataguardian/dataguardian/internal/domain"
)

var (
	ofExecutions = []domain.NotificationType{
		domain.NotifyBackupSuccess, domain.NotifyBackupFailed, domain.NotifyRestoreSuccess, domain.NotifyRestoreFailed,
	}
	ofSyncs    = []domain.NotificationType{domain.NotifySyncFailed, domain.NotifySyncRecovered}
	ofDrills   = []domain.NotificationType{domain.NotifyRestoreDrillSuccess, domain.NotifyRestoreDrillFailed}
	ofRuns     = slices.Concat(ofExecutions, ofSyncs, ofDrills)
	ofSizes    = []domain.NotificationType{domain.NotifyBackupSuccess, domain.NotifyRestoreSuccess}
	ofFailures = []domain.NotificationType{
		domain.NotifyBackupFailed, domain.NotifyRestoreFailed, domain.NotifySyncFailed, domain.NotifyRestoreDrillFailed,
	}
	ofStates = []domain.NotificationType{
		domain.NotifyConnectionLost, domain.NotifyConnectionRestored, domain.NotifyStorageFull, domain.NotifyStorageUnreachable, domain.NotifyHealthDegraded,
	}
)

func plus(types []domain.NotificationType, more ...domain.NotificationType) []domain.NotificationType {
	return slices.Concat(types, more)
}

// ofSome are the variables that only events of some types can have, by whoever writes them; all have the others.
var ofSome = map[string][]domain.NotificationType{
	"Job":          plus(ofRuns, domain.NotifyHealthDegraded, domain.NotifyCleanupCompleted),
	"Datasource":   plus(ofRuns, domain.NotifyConnectionLost, domain.NotifyConnectionRestored, domain.NotifyHealthDegraded, domain.NotifyCleanupCompleted),
	"Source":       ofSyncs,
	"Target":       plus(ofSyncs, ofDrills...),
	"Storage":      plus(ofRuns, domain.NotifyConnectionRestored, domain.NotifyStorageFull, domain.NotifyStorageUnreachable, domain.NotifyHealthDegraded, domain.NotifyCleanupCompleted),
	"ExecutionID":  plus(ofRuns, domain.NotifyHealthDegraded),
	"Link":         plus(ofRuns, domain.NotifyHealthDegraded),
	"FailureClass": plus(ofFailures, domain.NotifyHealthDegraded),
	"Status":       plus(ofRuns, ofStates...),
	"Operation":    ofRuns,
	"Trigger":      ofRuns,
	"Duration":     ofRuns,
	"SizeBytes":    ofSizes,
	"StoredBytes":  ofSizes,
}

// has reports whether events of a type can have a variable; all of them together have each.
func has(t domain.NotificationType, variable string) bool {
	types, some := ofSome[variable]
	return !some || t == "" || slices.Contains(types, t)
}

// Variables lists the fields of an event that templates for a type may show, "" for those of all types.
func Variables(t domain.NotificationType) []string {
	var names []string
	for i := range reflect.TypeFor[Event]().NumField() {
		if name := reflect.TypeFor[Event]().Field(i).Name; name != "Metadata" && has(t, name) {
			names = append(names, name)
		}
	}
	return names
}

// Undocumented lists the variables that an event has and its type should not: a template that wants to show them is refused.
func (e Event) Undocumented() []string {
	var names []string
	for name := range ofSome {
		if !has(e.Type, name) && !reflect.ValueOf(e).FieldByName(name).IsZero() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Most characters of every text of an event but its message, which is trimmed to what there is room for, and of an address,
// which is good for nothing when it is cut.
const (
	maxField = 2000
	maxLink  = 4000
)

// bounded is an event of which no built-in text makes too much.
func (e Event) bounded() Event {
	fields := reflect.ValueOf(&e).Elem()
	for i := range fields.NumField() {
		field := fields.Field(i)
		if field.Kind() != reflect.String {
			continue
		}
		switch name := fields.Type().Field(i).Name; {
		case name == "Message":
		case name != "Link" && name != "TemporalURL":
			field.SetString(cut(field.String(), maxField))
		case len(field.String()) > maxLink:
			field.SetString("")
		}
	}
	return e
}

// withoutForeign is an event that has only what its type can have.
func (e Event) withoutForeign() Event {
	for _, name := range e.Undocumented() {
		reflect.ValueOf(&e).Elem().FieldByName(name).SetZero()
	}
	return e
}
