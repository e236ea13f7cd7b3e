package domain

import (
	"slices"
	"strings"
	"time"
)

// ChannelRules is the JSON document of notification_channels.rules: what a channel is told. A rule that is left
// out lets everything through.
type ChannelRules struct {
	Types           []NotificationType `json:"types,omitempty" doc:"Only these types" maxItems:"50"`
	MinimumSeverity Severity           `json:"minimum_severity,omitempty" doc:"Default info" enum:"info,warning,critical"`
	Tags            []string           `json:"tags,omitempty" doc:"Only about datasources and storage locations with one of these" maxItems:"50"`
	JobIDs          []string           `json:"job_ids,omitempty" doc:"Only about these backup, sync or drill jobs" format:"id" maxLength:"100" maxItems:"500"`
	QuietHours      *QuietHours        `json:"quiet_hours,omitempty" doc:"When less severe ones wait"`
}

// QuietHours are the hours of a day in which notifications below a severity wait for their end.
type QuietHours struct {
	From     string   `json:"from" doc:"HH:MM" maxLength:"5"`
	To       string   `json:"to" doc:"HH:MM; earlier than from means on the next day" maxLength:"5"`
	TimeZone string   `json:"time_zone,omitempty" doc:"IANA name, default UTC" maxLength:"64"`
	Below    Severity `json:"below,omitempty" doc:"What is less severe waits, default critical" enum:"warning,critical"`
}

// Subject is what a notification is about, as far as rules ask.
type Subject struct {
	Type     NotificationType
	Severity Severity
	Tags     []string // of the datasource and of the storage location
	JobID    string   // "" for none
}

// Normalize fills in the defaults.
func (r *ChannelRules) Normalize() {
	setDefault(&r.MinimumSeverity, SeverityInfo)
	r.Tags = NormalizeTags(r.Tags)
	for i := range r.JobIDs {
		r.JobIDs[i] = strings.ToLower(strings.TrimSpace(r.JobIDs[i]))
	}
	if q := r.QuietHours; q != nil {
		setDefault(&q.TimeZone, "UTC")
		setDefault(&q.Below, SeverityCritical)
	}
}

// Clone is a copy that shares nothing.
func (r ChannelRules) Clone() ChannelRules {
	r.Types, r.Tags, r.JobIDs = slices.Clone(r.Types), slices.Clone(r.Tags), slices.Clone(r.JobIDs)
	if r.QuietHours != nil {
		quiet := *r.QuietHours
		r.QuietHours = &quiet
	}
	return r
}

// Match reports whether the channel is told.
func (r ChannelRules) Match(about Subject) bool {
	switch {
	case r.MinimumSeverity != "" && !about.Severity.AtLeast(r.MinimumSeverity):
		return false
	case len(r.Types) > 0 && !slices.Contains(r.Types, about.Type):
		return false
	case len(r.JobIDs) > 0 && !slices.Contains(r.JobIDs, about.JobID):
		return false
	case len(r.Tags) > 0 && !slices.ContainsFunc(about.Tags, func(tag string) bool { return slices.Contains(r.Tags, tag) }):
		return false
	}
	return true
}

// DueAt is when something of that severity may be sent that happened at now: now, or the end of the
// quiet hours it falls in.
func (r ChannelRules) DueAt(severity Severity, now time.Time) time.Time {
	q := r.QuietHours
	if q == nil || severity.AtLeast(q.Below) {
		return now
	}
	from, errFrom := time.Parse(clockLayout, q.From)
	to, errTo := time.Parse(clockLayout, q.To)
	zone, errZone := time.LoadLocation(q.TimeZone)
	if errFrom != nil || errTo != nil || errZone != nil {
		return now // stored past the API; better told at night than never
	}
	local := now.In(zone)
	// Yesterday's quiet hours may reach into today.
	for _, day := range []int{-1, 0} {
		begin := time.Date(local.Year(), local.Month(), local.Day()+day, from.Hour(), from.Minute(), 0, 0, zone)
		end := time.Date(local.Year(), local.Month(), local.Day()+day, to.Hour(), to.Minute(), 0, 0, zone)
		if !end.After(begin) {
			end = time.Date(local.Year(), local.Month(), local.Day()+day+1, to.Hour(), to.Minute(), 0, 0, zone)
		}
		if !now.Before(begin) && now.Before(end) {
			return end.In(now.Location())
		}
	}
	return now
}

const clockLayout = "15:04"

// Validate finds every wrong rule.
func (r ChannelRules) Validate() Invalid {
	var v Invalid
	for _, t := range r.Types {
		if !slices.Contains(NotificationTypes(), t) {
			v.Add("rules.types", "has %q, which is no notification type", t)
		}
	}
	if !slices.Contains(Severities(), r.MinimumSeverity) {
		v.Add("rules.minimum_severity", "is %q; use info, warning or critical", r.MinimumSeverity)
	}
	if q := r.QuietHours; q != nil {
		v = append(v, q.validate()...)
	}
	return v
}

func (q QuietHours) validate() Invalid {
	var v Invalid
	for field, text := range map[string]string{"from": q.From, "to": q.To} {
		if _, err := time.Parse(clockLayout, text); err != nil {
			v.Add("rules.quiet_hours."+field, "is %q; give a time of day such as 22:30", text)
		}
	}
	if q.From == q.To {
		v.Add("rules.quiet_hours.to", "is the same as from; give minimum_severity to never tell less")
	}
	if _, err := time.LoadLocation(q.TimeZone); err != nil || q.TimeZone == "Local" {
		v.Add("rules.quiet_hours.time_zone", "is %q, which is no time zone; give an IANA name such as Europe/Berlin", q.TimeZone)
	}
	if !oneOf(q.Below, SeverityWarning, SeverityCritical) {
		v.Add("rules.quiet_hours.below", "is %q; use warning or critical", q.Below)
	}
	return v
}
