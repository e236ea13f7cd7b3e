package domain

import "net/url"

// NotificationSettings say how notifications are gathered, how many a channel gets, and how long one is tried.
type NotificationSettings struct {
	GatherSeconds      int
	GatherLimitSeconds int
	DigestAbove        int
	PerMinute          int
	FlapWindowMinutes  int
	FlapAbove          int
	FlapQuietMinutes   int
	RetryHours         int
	PublicURL          string
}

// The keys of NotificationSettings in system_settings.
const (
	SettingNotifyDigestAbove = "notifications.digest_above"
	SettingNotifyFlapAbove   = "notifications.flap_above"
	SettingNotifyFlapQuiet   = "notifications.flap_quiet_minutes"
	SettingNotifyFlapWindow  = "notifications.flap_window_minutes"
	SettingNotifyGatherLimit = "notifications.gather_limit_seconds"
	SettingNotifyGather      = "notifications.gather_seconds"
	SettingNotifyPerMinute   = "notifications.per_minute"
	SettingNotifyPublicURL   = "notifications.public_url"
	SettingNotifyRetry       = "notifications.retry_hours"
)

// DefaultNotificationSettings are what is used where nothing is set.
func DefaultNotificationSettings() NotificationSettings {
	return NotificationSettings{
		GatherSeconds: 5, GatherLimitSeconds: 90, DigestAbove: 5, PerMinute: 10,
		FlapWindowMinutes: 30, FlapAbove: 4, FlapQuietMinutes: 10, RetryHours: 6,
	}
}

// Fields gives each value by its key.
func (s *NotificationSettings) Fields() map[string]any {
	return map[string]any{
		SettingNotifyDigestAbove: &s.DigestAbove, SettingNotifyFlapAbove: &s.FlapAbove, SettingNotifyFlapQuiet: &s.FlapQuietMinutes,
		SettingNotifyFlapWindow: &s.FlapWindowMinutes, SettingNotifyGatherLimit: &s.GatherLimitSeconds, SettingNotifyGather: &s.GatherSeconds,
		SettingNotifyPerMinute: &s.PerMinute, SettingNotifyPublicURL: &s.PublicURL, SettingNotifyRetry: &s.RetryHours,
	}
}

// notificationSettings are the keys as the registry has them, sorted.
func notificationSettings() []Setting {
	d := DefaultNotificationSettings()
	return []Setting{
		integerSetting(SettingNotifyDigestAbove, d.DigestAbove, 1, 1000, "More notifications than this that wait for one channel are sent as one message"),
		integerSetting(SettingNotifyFlapAbove, d.FlapAbove, 1, 1000, "A source with more changes of its state than this flaps: further ones are told when it has kept still"),
		integerSetting(SettingNotifyFlapQuiet, d.FlapQuietMinutes, 1, 1440, "How long a flapping source must keep its state until that is told"),
		integerSetting(SettingNotifyFlapWindow, d.FlapWindowMinutes, 1, 1440, "In how many minutes the changes of a source's state are counted"),
		integerSetting(SettingNotifyGatherLimit, d.GatherLimitSeconds, 0, 900, "How long a delivery waits at most while others keep coming"),
		integerSetting(SettingNotifyGather, d.GatherSeconds, 0, 300, "How long a delivery waits for others of its channel, so that a storm is one message; 0: it does not wait"),
		integerSetting(SettingNotifyPerMinute, d.PerMinute, 1, 600, "Most deliveries that a channel begins in 60 seconds, of which a digest is one and so is a mail to many addresses; what is more waits, and is gathered"),
		stringSetting(SettingNotifyPublicURL, d.PublicURL, "Address of the API as people reach it, for links in notifications; empty: no links", checkPublicURL),
		integerSetting(SettingNotifyRetry, d.RetryHours, 1, 168, "How many hours a delivery is tried that fails in a way that may pass"),
	}
}

func checkPublicURL(text string) string {
	if text == "" {
		return ""
	}
	if u, err := url.Parse(text); !IsHTTPURL(text) || err != nil || u.RawQuery != "" || u.Fragment != "" {
		return "must be an http or https URL with a host, without a query"
	}
	return ""
}
