package domain

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRulesLetThroughWhatTheyName(t *testing.T) {
	failed := Subject{Type: NotifyBackupFailed, Severity: SeverityCritical, Tags: []string{"blue"}, JobID: "job-1"}
	for name, c := range map[string]struct {
		rules ChannelRules
		about Subject
		want  bool
	}{
		"no rule lets everything through":          {ChannelRules{}, failed, true},
		"a severity that is enough":                {ChannelRules{MinimumSeverity: SeverityWarning}, failed, true},
		"a severity that is not":                   {ChannelRules{MinimumSeverity: SeverityWarning}, Subject{Severity: SeverityInfo}, false},
		"a type that is named":                     {ChannelRules{Types: []NotificationType{NotifyBackupFailed}}, failed, true},
		"a type that is not":                       {ChannelRules{Types: []NotificationType{NotifySyncFailed}}, failed, false},
		"one of several tags":                      {ChannelRules{Tags: []string{"red", "blue"}}, failed, true},
		"no tag of these":                          {ChannelRules{Tags: []string{"red"}}, failed, false},
		"what has no tags, where tags are asked":   {ChannelRules{Tags: []string{"red"}}, Subject{Severity: SeverityCritical}, false},
		"a job that is named":                      {ChannelRules{JobIDs: []string{"job-1"}}, failed, true},
		"another job":                              {ChannelRules{JobIDs: []string{"job-2"}}, failed, false},
		"all rules must match":                     {ChannelRules{JobIDs: []string{"job-1"}, Tags: []string{"red"}}, failed, false},
		"an unknown severity is held back by none": {ChannelRules{MinimumSeverity: SeverityCritical}, Subject{Severity: "fatal"}, true},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, c.rules.Match(c.about)) })
	}
}

func TestQuietHoursEndWhereTheySay(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	night := ChannelRules{QuietHours: &QuietHours{From: "22:00", To: "07:00", TimeZone: "Europe/Berlin"}}
	noon := ChannelRules{QuietHours: &QuietHours{From: "12:00", To: "13:30", TimeZone: "UTC", Below: SeverityWarning}}
	night.Normalize()
	at := func(zone *time.Location, day, hour, minute int) time.Time {
		return time.Date(2026, time.October, day, hour, minute, 0, 0, zone)
	}
	for name, c := range map[string]struct {
		rules     ChannelRules
		severity  Severity
		now, want time.Time
	}{
		"before them":                        {night, SeverityWarning, at(berlin, 1, 21, 59), at(berlin, 1, 21, 59)},
		"in the evening":                     {night, SeverityWarning, at(berlin, 1, 22, 0), at(berlin, 2, 7, 0)},
		"after midnight":                     {night, SeverityInfo, at(berlin, 2, 3, 0), at(berlin, 2, 7, 0)},
		"at their end":                       {night, SeverityInfo, at(berlin, 2, 7, 0), at(berlin, 2, 7, 0)},
		"critical is told at once":           {night, SeverityCritical, at(berlin, 2, 3, 0), at(berlin, 2, 3, 0)},
		"the night that the clock goes back": {night, SeverityInfo, at(berlin, 24, 23, 0), at(berlin, 25, 7, 0)},
		"within a day":                       {noon, SeverityInfo, at(time.UTC, 1, 12, 30), at(time.UTC, 1, 13, 30)},
		"a warning where only info waits":    {noon, SeverityWarning, at(time.UTC, 1, 12, 30), at(time.UTC, 1, 12, 30)},
	} {
		t.Run(name, func(t *testing.T) { require.WithinDuration(t, c.want, c.rules.DueAt(c.severity, c.now), 0) })
	}
}
