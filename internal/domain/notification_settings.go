package domain

import "net/url"

// NotificationSettings say how notifications are gathered and how many a channel gets; the value of
// SettingNotifications.
type NotificationSettings struct {
	GatherSeconds int    `json:"gather_seconds" doc:"A delivery waits this long for others of the same channel, so that a storm is one message; 0: it does not wait"`
	GatherLimit   int    `json:"gather_limit_seconds" doc:"While others keep coming it waits at most this long"`
	DigestAbove   int    `json:"digest_above" doc:"More than this many that wait for one channel are sent as one message"`
	PerMinute     int    `json:"per_minute" doc:"Most messages a channel gets in a minute; what comes more waits, and is gathered"`
	FlapWindow    int    `json:"flap_window_minutes" doc:"Changes of one source's state in this time are counted"`
	FlapAbove     int    `json:"flap_above" doc:"A source with more changes than this flaps: further ones are told when it has been quiet for flap_quiet_minutes"`
	FlapQuiet     int    `json:"flap_quiet_minutes" doc:"How long a flapping source must keep its state until that is told"`
	RetryHours    int    `json:"retry_hours" doc:"A delivery that fails in a way that may pass is tried for so long"`
	PublicURL     string `json:"public_url" doc:"Address of the API as people reach it, for links; empty: no links"`
}

// SettingNotifications is the key of NotificationSettings in system_settings.
const SettingNotifications = "notifications.delivery"

// DefaultNotificationSettings are what is used where nothing is set.
func DefaultNotificationSettings() NotificationSettings {
	return NotificationSettings{
		GatherSeconds: 5, GatherLimit: 90, DigestAbove: 5, PerMinute: 10,
		FlapWindow: 30, FlapAbove: 4, FlapQuiet: 10, RetryHours: 6,
	}
}

// Validate finds what is out of range.
func (s NotificationSettings) Validate() Invalid {
	var v Invalid
	checkRange(&v, "gather_seconds", s.GatherSeconds, 0, 300)
	checkRange(&v, "gather_limit_seconds", s.GatherLimit, s.GatherSeconds, 900)
	checkRange(&v, "digest_above", s.DigestAbove, 1, 1000)
	checkRange(&v, "per_minute", s.PerMinute, 1, 600)
	checkRange(&v, "flap_window_minutes", s.FlapWindow, 1, 1440)
	checkRange(&v, "flap_above", s.FlapAbove, 1, 1000)
	checkRange(&v, "flap_quiet_minutes", s.FlapQuiet, 1, 1440)
	checkRange(&v, "retry_hours", s.RetryHours, 1, 168)
	if s.PublicURL != "" && !IsHTTPURL(s.PublicURL) {
		v.Add("public_url", "is not an http or https URL with a host")
	} else if u, err := url.Parse(s.PublicURL); err == nil && (u.RawQuery != "" || u.Fragment != "") {
		v.Add("public_url", "has a query or a fragment; give the address only")
	}
	return v
}
