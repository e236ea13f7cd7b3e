package schedule

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Where no clock is changed near, both ways to the next run come to the same.
func TestBothWaysToTheNextRunAgree(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	short := 0
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "America/Sao_Paulo", "Pacific/Apia"} {
		for _, cron := range []string{"15 2 * * *", "30 1,2,3 * * *", "0 0 * * *", "*/20 2 * * 0", "59 23 1 * *", "0 12 29 2 *", "@weekly", "@monthly"} {
			w, err := parse(cron, zone)
			require.NoError(t, err)
			for range 300 {
				from := time.Date(2005+random.IntN(40), 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(random.Int64N(int64(365 * 24 * time.Hour))))
				if _, ends := from.In(w.zone).ZoneBounds(); !ends.IsZero() && random.IntN(2) == 0 {
					from = ends.Add(time.Duration(random.Int64N(int64(12*time.Hour))) - 6*time.Hour)
				}
				if next, is := w.nextOfPeriod(from); is {
					short++
					require.Equal(t, w.nextAround(from), next, "%s in %s from %s", cron, zone, from)
				}
			}
		}
	}
	require.Greater(t, short, 5000)
}
