package domain

// ScrubSettings say how much of each storage location is read and compared in the background.
type ScrubSettings struct {
	// WeeklySharePercent of what a location stores is read each week, 0 is off.
	WeeklySharePercent int `json:"weekly_share_percent"`
}

// SettingScrubShare is the key of ScrubSettings.WeeklySharePercent in system_settings.
const SettingScrubShare = "scrub.weekly_share_percent"

// DefaultScrub reads everything about once in four weeks.
func DefaultScrub() ScrubSettings { return ScrubSettings{WeeklySharePercent: 25} }

// Validate finds what is out of range.
func (s ScrubSettings) Validate() Invalid {
	var v Invalid
	checkRange(&v, "weekly_share_percent", s.WeeklySharePercent, 0, 100)
	return v
}

// ScheduleSettings say how the schedules of jobs are run.
type ScheduleSettings struct {
	// CatchupWindowMinutes is how late a run that an outage prevented is still started, once.
	CatchupWindowMinutes int `json:"catchup_window_minutes"`
	// JitterSeconds is over how many seconds jobs that are due at the same moment are spread; never beyond a job's next run.
	JitterSeconds int `json:"jitter_seconds"`
}

// The keys of ScheduleSettings in system_settings.
const (
	SettingCatchupWindow = "schedules.catchup_window_minutes"
	SettingJitter        = "schedules.jitter_seconds"
)

// DefaultSchedules makes good what was missed in the last day, and spreads over five minutes.
func DefaultSchedules() ScheduleSettings {
	return ScheduleSettings{CatchupWindowMinutes: 24 * 60, JitterSeconds: 300}
}

// Validate finds what is out of range.
func (s ScheduleSettings) Validate() Invalid {
	var v Invalid
	checkRange(&v, "catchup_window_minutes", s.CatchupWindowMinutes, 1, 366*24*60)
	checkRange(&v, "jitter_seconds", s.JitterSeconds, 0, 24*60*60)
	return v
}

// PruneSettings say for how many days rows are kept that are no configuration and no backup.
type PruneSettings struct {
	HealthChecksDays  int `json:"health_checks_days"`
	NotificationsDays int `json:"notifications_days"`
	// ExecutionsDays is for backups that failed or were cancelled, restores, and runs of syncs and drills; 0 keeps them.
	ExecutionsDays int `json:"executions_days"`
}

// The keys of PruneSettings in system_settings.
const (
	SettingPruneHealthChecks  = "prune.health_checks_days"
	SettingPruneNotifications = "prune.notifications_days"
	SettingPruneExecutions    = "prune.executions_days"
)

// DefaultPrune keeps a month of health checks, a quarter of notifications, and all executions.
func DefaultPrune() PruneSettings { return PruneSettings{HealthChecksDays: 30, NotificationsDays: 90} }

// Validate finds what is out of range.
func (s PruneSettings) Validate() Invalid {
	var v Invalid
	checkRange(&v, "health_checks_days", s.HealthChecksDays, 1, 3660)
	checkRange(&v, "notifications_days", s.NotificationsDays, 1, 3660)
	checkRange(&v, "executions_days", s.ExecutionsDays, 0, 36_600)
	return v
}

// ConcurrencySettings bound how many executions, backups and restores, run at once; 0 is no limit. What waits for a place
// stays queued. How many a worker runs is its slots.
type ConcurrencySettings struct {
	Global        int `json:"global"`
	PerDatasource int `json:"per_datasource"`
	PerStorage    int `json:"per_storage"`
}

// The keys of ConcurrencySettings in system_settings.
const (
	SettingConcurrencyGlobal     = "concurrency.global"
	SettingConcurrencyDatasource = "concurrency.per_datasource"
	SettingConcurrencyStorage    = "concurrency.per_storage"
)

// DefaultConcurrency spares each datasource a second execution beside the first.
func DefaultConcurrency() ConcurrencySettings { return ConcurrencySettings{PerDatasource: 1} }

// Validate finds what is out of range.
func (s ConcurrencySettings) Validate() Invalid {
	var v Invalid
	checkRange(&v, "global", s.Global, 0, 100_000)
	checkRange(&v, "per_datasource", s.PerDatasource, 0, 1000)
	checkRange(&v, "per_storage", s.PerStorage, 0, 100_000)
	return v
}
