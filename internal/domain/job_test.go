package domain_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestABandwidthLimitIsAbsentOrUseful(t *testing.T) {
	for mbps, good := range map[float64]bool{
		0: true, 0.1: true, 12.5: true, 100_000: true,
		0.05: false, -1: false, 100_001: false, math.NaN(): false, math.Inf(1): false,
	} {
		options := domain.BackupOptions{BandwidthLimitMbps: mbps}
		options.Normalize()
		found := options.Validate()
		require.Equal(t, good, len(found) == 0, "%g: %v", mbps, found)
		if !good {
			require.Equal(t, "bandwidth_limit_mbps", found[0].Field)
		}
	}
}
