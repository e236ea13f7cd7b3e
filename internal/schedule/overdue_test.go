package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAJobIsOverdueAfterTwicePeriods(t *testing.T) {
	for name, test := range map[string]struct{ cron, zone, last, want string }{
		"daily":                              {"30 2 * * *", "UTC", "2026-11-02T02:40:00Z", "2026-11-04T02:40:00Z"},
		"every five minutes":                 {"*/5 * * * *", "UTC", "2026-11-02T02:41:00Z", "2026-11-02T02:51:00Z"},
		"on working days, over the weekend":  {"30 2 * * 1-5", "UTC", "2026-11-06T02:40:00Z", "2026-11-10T02:30:00Z"},
		"weekly, over the change of a clock": {"0 3 * * 0", "Europe/Berlin", "2026-10-18T01:10:00Z", "2026-11-01T02:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			last, err := time.Parse(time.RFC3339, test.last)
			require.NoError(t, err)
			at, err := OverdueAt(test.cron, test.zone, last)
			require.NoError(t, err)
			require.Equal(t, test.want, at.Format(time.RFC3339))
		})
	}
	_, err := OverdueAt("nonsense", "UTC", time.Now())
	require.Error(t, err)
}
