package domain

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// SettingType is what the value of a setting is in JSON.
type SettingType string

// The types of settings.
const (
	SettingInteger SettingType = "integer"
	SettingBoolean SettingType = "boolean"
	SettingString  SettingType = "string"
)

// maxSettingText bounds a setting of type string, in characters.
const maxSettingText = 2000

// Setting is one key of the platform's settings.
type Setting struct {
	Key     string
	Type    SettingType
	Default any // an int, a bool or a string, as Type says
	Doc     string
	// Check finds what is wrong with a value of the right type, "" when nothing is; nil takes all.
	Check func(value any) string
}

// Settings are all keys there are, sorted. A key is added here and read by its typed struct.
func Settings() []Setting {
	return slices.Concat([]Setting{
		booleanSetting(SettingApproveDeleteBackup, false, "Another person must approve the deletion of a completed backup, and a change of a retention policy, or of a pin, that makes it delete more backups"),
		booleanSetting(SettingApproveDeleteStorage, false, "Another person must approve the deletion of a storage location"),
		integerSetting(SettingApprovalExpiry, DefaultApprovals().ExpiryHours, MinApprovalHours, MaxApprovalHours,
			"Hours for which a request for approval, and then the approval, is good"),
		booleanSetting(SettingApproveRestore, false, "Another person must approve a restore into what is not empty (drop_existing; on mongodb also include_tables, for files also include_paths), a run by hand of a sync that overwrites, and giving one a schedule, or another"),
		integerSetting(SettingConcurrencyGlobal, DefaultConcurrency().Global, 0, 100_000,
			"Backups and restores that run at the same time; others wait. 0 is no limit"),
		integerSetting(SettingConcurrencyDatasource, DefaultConcurrency().PerDatasource, 0, 1000,
			"Backups and restores of one datasource that run at the same time; others wait. 0 is no limit"),
		integerSetting(SettingConcurrencyStorage, DefaultConcurrency().PerStorage, 0, 100_000,
			"Backups and restores with one storage location that run at the same time; others wait. 0 is no limit"),
		integerSetting(SettingHealthFailures, DefaultHealth().FailuresToCritical, 1, 100,
			"Failed checks in a row after which a datasource is critical and people are told"),
		integerSetting(SettingHealthInterval, DefaultHealth().IntervalSeconds, 30, 24*60*60,
			"Seconds between two checks of every enabled datasource and storage location"),
		integerSetting(SettingHealthLatency, DefaultHealth().LatencyWarningMS, 1, 60_000,
			"Milliseconds from which on an answer is slow and the datasource's status warning"),
	}, notificationSettings(), []Setting{
		integerSetting(SettingPruneExecutions, DefaultPrune().ExecutionsDays, 0, 36_600,
			"Days for which ended restores, runs of syncs and drills, and failed backups are kept in lists; 0 keeps them. Completed backups stay"),
		integerSetting(SettingPruneHealthChecks, DefaultPrune().HealthChecksDays, 1, 3660,
			"Days for which health checks are kept"),
		integerSetting(SettingPruneNotifications, DefaultPrune().NotificationsDays, 1, 3660,
			"Days for which notifications are kept"),
		integerSetting(SettingCatchupWindow, DefaultSchedules().CatchupWindowMinutes, 1, 366*24*60,
			"Minutes for which a run that an outage prevented is still started, once"),
		integerSetting(SettingJitter, DefaultSchedules().JitterSeconds, 0, 24*60*60,
			"Seconds over which jobs that are due at the same moment are spread; never beyond a job's next run"),
		integerSetting(SettingScrubShare, DefaultScrub().WeeklySharePercent, 0, 100,
			"Per cent of what each storage location holds that is read and compared in the background each week; 0 is off"),
	})
}

// FindSetting gives the setting of a key.
func FindSetting(key string) (Setting, bool) {
	for _, s := range Settings() {
		if s.Key == key {
			return s, true
		}
	}
	return Setting{}, false
}

// Decode reads a value, which is JSON, as an int, a bool or a string. Errors: Invalid, with the key
// as the field.
func (s Setting) Decode(raw json.RawMessage) (any, error) {
	var untyped any
	if err := json.Unmarshal(raw, &untyped); err != nil {
		return nil, s.wrong("is no JSON")
	}
	value, problem := untyped, ""
	switch s.Type {
	case SettingInteger:
		number, ok := untyped.(float64)
		if !ok || number != math.Trunc(number) || math.Abs(number) > math.MaxInt32 {
			return nil, s.wrong("must be a whole number")
		}
		value = int(number)
	case SettingBoolean:
		if _, ok := untyped.(bool); !ok {
			return nil, s.wrong("must be true or false")
		}
	case SettingString:
		text, ok := untyped.(string)
		if !ok || utf8.RuneCountInString(text) > maxSettingText || strings.ContainsRune(text, 0) {
			return nil, s.wrong(fmt.Sprintf("must be a text of at most %d characters", maxSettingText))
		}
	}
	if s.Check != nil {
		problem = s.Check(value)
	}
	if problem != "" {
		return nil, s.wrong(problem)
	}
	return value, nil
}

func (s Setting) wrong(message string) error { return Invalid{{Field: s.Key, Message: message}} }

func integerSetting(key string, preset, low, high int, doc string) Setting {
	return Setting{Key: key, Type: SettingInteger, Default: preset, Doc: doc, Check: func(value any) string {
		if n, _ := value.(int); n < low || n > high {
			return fmt.Sprintf("must be from %d to %d", low, high)
		}
		return ""
	}}
}

// booleanSetting is a switch.
func booleanSetting(key string, preset bool, doc string) Setting {
	return Setting{Key: key, Type: SettingBoolean, Default: preset, Doc: doc}
}

// stringSetting is a text; check may be nil.
func stringSetting(key, preset, doc string, check func(string) string) Setting {
	s := Setting{Key: key, Type: SettingString, Default: preset, Doc: doc}
	if check != nil {
		s.Check = func(value any) string {
			text, _ := value.(string)
			return check(text)
		}
	}
	return s
}

// StoredSetting is a value that somebody set.
type StoredSetting struct {
	Value     json.RawMessage
	UpdatedBy *string // id of the user; nil for the system, and when the user is gone
	UpdatedAt time.Time
}
