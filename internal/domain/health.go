package domain

// HealthSettings say how often things are checked, and what is bad.
type HealthSettings struct {
	IntervalSeconds    int `json:"interval_seconds"`
	LatencyWarningMS   int `json:"latency_warning_ms"`
	FailuresToCritical int `json:"failures_to_critical"` // in a row
}

// The keys of HealthSettings in system_settings.
const (
	SettingHealthInterval = "health.interval_seconds"
	SettingHealthLatency  = "health.latency_warning_ms"
	SettingHealthFailures = "health.failures_to_critical"
)

// DefaultHealth checks every five minutes.
func DefaultHealth() HealthSettings {
	return HealthSettings{IntervalSeconds: 300, LatencyWarningMS: 1000, FailuresToCritical: 2}
}

// Validate finds what is out of range.
func (s HealthSettings) Validate() Invalid {
	var v Invalid
	checkRange(&v, "interval_seconds", s.IntervalSeconds, 30, 24*60*60)
	checkRange(&v, "latency_warning_ms", s.LatencyWarningMS, 1, 60_000)
	checkRange(&v, "failures_to_critical", s.FailuresToCritical, 1, 100)
	return v
}

// HealthState is where something that is checked stands: failures in a row, and what people were told last.
type HealthState struct {
	Failures  int
	Announced HealthAnnouncement
}

// HealthAnnouncement is what people were told of something that is checked.
type HealthAnnouncement string

// What people are told. AllWell is also what nothing was told of.
const (
	AllWell         HealthAnnouncement = ""
	ToldSlow        HealthAnnouncement = "slow"
	ToldLost        HealthAnnouncement = "lost"
	ToldFull        HealthAnnouncement = "full"
	ToldUnreachable HealthAnnouncement = "unreachable"
	ToldNotServed   HealthAnnouncement = "not_served"
	ToldOverdue     HealthAnnouncement = "overdue"
	ToldPaused      HealthAnnouncement = "paused"
)

const notifyOfNothing NotificationType = ""

// CheckedKind is what kind of thing a HealthState is of.
type CheckedKind string

// The kinds.
const (
	CheckedDatasource CheckedKind = "datasource"
	CheckedStorage    CheckedKind = "storage_location"
	CheckedJob        CheckedKind = "backup_job"
	CheckedPool       CheckedKind = "pool"
	CheckedSchedule   CheckedKind = "schedule" // of the platform itself
)

// Datasource says what one more check makes of a datasource: its status, its state, and the notification to send, "" for
// none. One failure is a warning and nobody is told; so many in a row are critical, told once, and so is that it is
// back. That it answers slowly is told when it begins.
func (s HealthSettings) Datasource(state HealthState, check HealthCheckStatus, latencyMS int64) (DatasourceStatus, HealthState, NotificationType) {
	if check != HealthOK {
		state.Failures++
		if state.Failures < s.FailuresToCritical {
			return DatasourceWarning, state, notifyOfNothing
		}
		notify := notifyOfNothing
		if state.Announced != ToldLost {
			state.Announced, notify = ToldLost, NotifyConnectionLost
		}
		return DatasourceCritical, state, notify
	}
	before := state.Announced
	state = HealthState{}
	status, notify := DatasourceHealthy, notifyOfNothing
	if latencyMS > int64(s.LatencyWarningMS) {
		status, state.Announced = DatasourceWarning, ToldSlow
	}
	switch {
	case before == ToldLost:
		notify = NotifyConnectionRestored
	case state.Announced == ToldSlow && before != ToldSlow:
		notify = NotifyHealthDegraded
	}
	return status, state, notify
}

// Storage says what one more check makes of a storage location. That it can not be reached is told after as many failures
// in a row as make a datasource critical; that it is full, at once.
func (s HealthSettings) Storage(state HealthState, status StorageLocationStatus) (HealthState, NotificationType) {
	before := state.Announced
	switch status {
	case StorageUnreachable:
		state.Failures++
		if state.Failures < s.FailuresToCritical || before == ToldUnreachable {
			return state, notifyOfNothing
		}
		state.Announced = ToldUnreachable
		return state, NotifyStorageUnreachable
	case StorageIsFull:
		if before == ToldFull {
			return HealthState{Announced: ToldFull}, notifyOfNothing
		}
		return HealthState{Announced: ToldFull}, NotifyStorageFull
	default:
		if before == AllWell {
			return HealthState{}, notifyOfNothing
		}
		return HealthState{}, NotifyConnectionRestored
	}
}

// Pool says what it means that a pool's workers took the check, or that nobody did.
func (s HealthSettings) Pool(state HealthState, served bool) (HealthState, NotificationType) {
	switch {
	case served && state.Announced == ToldNotServed:
		return HealthState{}, NotifyConnectionRestored
	case served:
		return HealthState{}, notifyOfNothing
	}
	state.Failures++
	if state.Failures < s.FailuresToCritical || state.Announced == ToldNotServed {
		return state, notifyOfNothing
	}
	state.Announced = ToldNotServed
	return state, NotifyConnectionLost
}

// Overdue says what it means that a job is overdue, or not.
func (HealthSettings) Overdue(state HealthState, overdue bool) (HealthState, NotificationType) {
	switch {
	case overdue && state.Announced != ToldOverdue:
		return HealthState{Announced: ToldOverdue}, NotifyHealthDegraded
	case overdue:
		return state, notifyOfNothing
	default:
		return HealthState{}, notifyOfNothing
	}
}

// Schedule says what it means that one of the platform's own schedules is paused in Temporal, or not.
func (HealthSettings) Schedule(state HealthState, paused bool) (HealthState, NotificationType) {
	switch {
	case paused == (state.Announced == ToldPaused):
		return state, notifyOfNothing
	case paused:
		return HealthState{Announced: ToldPaused}, NotifyHealthDegraded
	default:
		return HealthState{}, NotifyConnectionRestored
	}
}
