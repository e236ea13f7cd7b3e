package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestABackupKeepsToItsBandwidthInBothDirections(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 2*mib)
	options := kind(domain.Full)
	options.BandwidthLimitMbps = 16
	started := time.Now()
	s.requireGood(s.backup(options))
	// Two megabytes a second: one second to store them, and one to verify them. The first burst is free.
	require.Greater(t, time.Since(started), 1800*time.Millisecond)
	require.NotEmpty(t, s.uses)
	for _, use := range s.uses {
		require.Equal(t, s.job.StorageLocationID, use.LocationID, "whose parallel uploads are shared")
		require.InDelta(t, 16, use.BandwidthMbps, 0)
	}
}
