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
