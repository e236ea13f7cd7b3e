package retention

import (
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// rule keeps the newest backup of each of the newest so many periods that have one.
type rule struct {
	name   string
	period func(domain.KeptBackup, *time.Location) string // names the period of a backup
	left   int
	last   string // the period whose backup was kept last
}

func keepRules(p domain.RetentionPolicy) []rule {
	var rules []rule
	for _, r := range []rule{
		{name: "keep_last", left: p.KeepLast, period: func(b domain.KeptBackup, _ *time.Location) string { return b.ID }},
		// With the offset, the hour that a clock shows twice is two.
		{name: "keep_hourly", left: p.KeepHourly, period: clock("2006-01-02 15h -0700")},
		{name: "keep_daily", left: p.KeepDaily, period: clock("2006-01-02")},
		{name: "keep_weekly", left: p.KeepWeekly, period: week},
		{name: "keep_monthly", left: p.KeepMonthly, period: clock("2006-01")},
		{name: "keep_yearly", left: p.KeepYearly, period: clock("2006")},
	} {
		if r.left > 0 {
			rules = append(rules, r)
		}
	}
	return rules
}

func clock(layout string) func(domain.KeptBackup, *time.Location) string {
	return func(b domain.KeptBackup, zone *time.Location) string { return b.At.In(zone).Format(layout) }
}

func week(b domain.KeptBackup, zone *time.Location) string {
	year, number := b.At.In(zone).ISOWeek()
	return fmt.Sprintf("%d-W%02d", year, number)
}

// keeps returns why the rule keeps the backup, "" when it does not. The oldest is kept as long as the rule has
// some to give: the history is as long as it can be.
func (r *rule) keeps(b domain.KeptBackup, zone *time.Location, oldest bool) string {
	period := r.period(b, zone)
	if r.left == 0 || (period == r.last && !oldest) {
		return ""
	}
	if b.Good {
		r.left, r.last = r.left-1, period
	}
	if r.name == "keep_last" {
		return "among the newest (keep_last)"
	}
	return fmt.Sprintf("%s (%s)", period, r.name)
}
