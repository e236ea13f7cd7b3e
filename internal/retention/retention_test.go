package retention_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/retention"
)

var now = time.Date(2026, time.November, 28, 12, 0, 0, 0, time.UTC)

// daysOld is a good backup that was made so many days ago.
func daysOld(days int) domain.KeptBackup {
	return domain.KeptBackup{ID: fmt.Sprintf("%04d", days), At: now.AddDate(0, 0, -days), Good: true}
}

func with(b domain.KeptBackup, change func(*domain.KeptBackup)) domain.KeptBackup {
	change(&b)
	return b
}

// ofAnother was made before the job was given the datasource that it has.
func ofAnother(b *domain.KeptBackup) { b.Datasource = "another" }

func damaged(b *domain.KeptBackup) { b.Good = false }

func removed(verdicts []domain.RetentionVerdict) []string {
	ids := []string{}
	for _, v := range verdicts {
		if !v.Keep {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

func TestAPolicyRemoves(t *testing.T) {
	tests := map[string]struct {
		policy  domain.RetentionPolicy
		backups []domain.KeptBackup
		removed []string
	}{
		"nothing of a job without backups":              {domain.DefaultRetention(), nil, []string{}},
		"nothing without a rule":                        {domain.RetentionPolicy{AutoDelete: true}, []domain.KeptBackup{daysOld(1), daysOld(5000)}, []string{}},
		"nothing before there are more than it keeps":   {domain.DefaultRetention(), []domain.KeptBackup{daysOld(0), daysOld(1), daysOld(2)}, []string{}},
		"the oldest after the 4th backup of 3":          {domain.DefaultRetention(), []domain.KeptBackup{daysOld(3), daysOld(0), daysOld(1), daysOld(2)}, []string{"0003"}},
		"what is older than the days":                   {domain.RetentionPolicy{MaxAgeDays: 7}, []domain.KeptBackup{daysOld(0), daysOld(7), daysOld(8)}, []string{"0008"}},
		"what is beyond either limit":                   {domain.RetentionPolicy{MaxAgeDays: 7, MaxBackups: 2}, []domain.KeptBackup{daysOld(0), daysOld(6), daysOld(7), daysOld(8)}, []string{"0007", "0008"}},
		"nothing of a job that was paused for a year":   {domain.RetentionPolicy{MaxAgeDays: 7}, []domain.KeptBackup{daysOld(365), daysOld(370)}, []string{}},
		"nothing that a keep rule keeps":                {domain.RetentionPolicy{MaxBackups: 1, KeepDaily: 3}, []domain.KeptBackup{daysOld(0), daysOld(1), daysOld(2), daysOld(3)}, []string{"0003"}},
		"no pinned one":                                 {domain.RetentionPolicy{MaxBackups: 1}, []domain.KeptBackup{daysOld(0), with(daysOld(1), func(b *domain.KeptBackup) { b.Pinned = true }), daysOld(2)}, []string{"0002"}},
		"none that something needs":                     {domain.RetentionPolicy{MaxBackups: 1}, []domain.KeptBackup{daysOld(0), with(daysOld(1), func(b *domain.KeptBackup) { b.Held = "a restore reads it" }), daysOld(2)}, []string{"0002"}},
		"no good one for a damaged one":                 {domain.RetentionPolicy{MaxBackups: 2}, []domain.KeptBackup{with(daysOld(0), damaged), daysOld(1), with(daysOld(2), damaged), daysOld(3), with(daysOld(4), damaged), daysOld(5)}, []string{"0004", "0005"}},
		"not the only good one, however old":            {domain.RetentionPolicy{MaxAgeDays: 1}, []domain.KeptBackup{with(daysOld(0), damaged), daysOld(90), daysOld(91)}, []string{"0091"}},
		"not the newest of which none is good":          {domain.RetentionPolicy{MaxAgeDays: 1}, []domain.KeptBackup{with(daysOld(0), damaged), with(daysOld(9), damaged)}, []string{"0009"}},
		"nothing for backups of another datasource":     {domain.RetentionPolicy{MaxBackups: 2}, []domain.KeptBackup{daysOld(0), daysOld(1), with(daysOld(5), ofAnother), with(daysOld(6), ofAnother), with(daysOld(7), ofAnother)}, []string{"0007"}},
		"not the only good one of another datasource":   {domain.RetentionPolicy{MaxAgeDays: 1}, []domain.KeptBackup{daysOld(0), with(daysOld(90), func(b *domain.KeptBackup) { ofAnother(b); damaged(b) }), with(daysOld(99), ofAnother)}, []string{}},
		"nothing for one that a wrong clock dated 2040": {domain.RetentionPolicy{MaxAgeDays: 7}, []domain.KeptBackup{daysOld(-5000), daysOld(1), daysOld(8)}, []string{"0008"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			verdicts := retention.Apply(test.policy, time.UTC, now, test.backups)
			require.Equal(t, test.removed, removed(verdicts))
			for _, v := range verdicts {
				require.NotEmpty(t, v.Reasons, v.ID)
			}
		})
	}
}

func TestTheReasonsSayWhich(t *testing.T) {
	policy := domain.RetentionPolicy{MaxBackups: 1, MaxAgeDays: 2, KeepMonthly: 1}
	verdicts := retention.Apply(policy, time.UTC, now, []domain.KeptBackup{daysOld(0), daysOld(3)})
	require.Equal(t, []string{"among the newest 1 and not older than 2 days (max_backups, max_age_days)", "2026-11 (keep_monthly)"}, verdicts[0].Reasons)
	require.Equal(t, []string{"1 newer ones are kept (max_backups)", "older than 2 days (max_age_days)", "no keep rule needs it"}, verdicts[1].Reasons)
}

// A year of a backup every half hour, in zones whose clocks are set forth and back in it (São Paulo's last were in
// 2018 and 2019). After each backup the policy is applied, as the platform does.
func TestAYearOfBackupsKeepsTheDaysOfTheJobsClock(t *testing.T) {
	for zoneName, start := range map[string]time.Time{
		"America/Sao_Paulo": time.Date(2018, time.July, 1, 0, 0, 0, 0, time.UTC),
		"Europe/Berlin":     time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC),
	} {
		t.Run(zoneName, func(t *testing.T) {
			zone, err := time.LoadLocation(zoneName)
			require.NoError(t, err)
			policy := domain.RetentionPolicy{KeepHourly: 30, KeepDaily: 7, KeepMonthly: 12}
			var kept []domain.KeptBackup
			offsets := map[int]bool{}
			for at := start; at.Before(start.AddDate(1, 0, 0)); at = at.Add(30 * time.Minute) {
				_, offset := at.In(zone).Zone()
				offsets[offset] = true
				kept = append(kept, domain.KeptBackup{ID: at.Format(time.RFC3339), At: at, Good: true})
				verdicts := retention.Apply(policy, zone, at, kept)
				kept = kept[:0]
				for _, v := range verdicts {
					if v.Keep {
						kept = append(kept, v.KeptBackup)
					}
				}
				requirePeriods(t, kept, at, zone, start)
			}
			require.Len(t, offsets, 2, "the clock was set forth and back")
		})
	}
}

// requirePeriods finds every one of the newest hours, days and months among what is kept, as the calendar has them.
func requirePeriods(t *testing.T, kept []domain.KeptBackup, at time.Time, zone *time.Location, start time.Time) {
	t.Helper()
	there := map[string]bool{}
	for _, b := range kept {
		there[b.At.UTC().Format("2006-01-02T15")] = true // the offsets of both zones are whole hours
		there[b.At.In(zone).Format("2006-01-02")] = true
		there[b.At.In(zone).Format("2006-01")] = true
	}
	local := at.In(zone)
	noon := time.Date(local.Year(), local.Month(), local.Day(), 12, 0, 0, 0, zone)
	for i := range 30 {
		if hour := at.Add(-time.Duration(i) * time.Hour); !hour.Before(start) {
			require.True(t, there[hour.UTC().Format("2006-01-02T15")], "hour %s at %s", hour, at)
		}
	}
	for i := range 7 {
		if day := noon.AddDate(0, 0, -i); !day.Before(start) {
			require.True(t, there[day.Format("2006-01-02")], "day %s at %s", day, at)
		}
	}
	for i := range 12 {
		if month := time.Date(local.Year(), local.Month()-time.Month(i), 1, 12, 0, 0, 0, zone); !month.Before(start) {
			require.True(t, there[month.Format("2006-01")], "month %s at %s", month, at)
		}
	}
	require.LessOrEqual(t, len(kept), 30+7+12)
}
