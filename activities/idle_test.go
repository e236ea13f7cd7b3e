package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// With a limit the dump waits for the storage for as long as it takes to send what was read before:
// that is not a dump that hangs.
func TestALimitedDumpMayBeIdleForAsLongAsItsBytesTake(t *testing.T) {
	job := &backup{options: domain.BackupOptions{IdleTimeoutMinutes: 15}}
	require.Equal(t, 15*time.Minute, job.dumpOptions().IdleTimeout)
	job.options.BandwidthLimitMbps = 1
	require.InDelta(t, (15*time.Minute + 2147*time.Second).Seconds(), job.dumpOptions().IdleTimeout.Seconds(), 1)
	job.options.BandwidthLimitMbps = 1000
	require.InDelta(t, (15*time.Minute + 2*time.Second).Seconds(), job.dumpOptions().IdleTimeout.Seconds(), 1)
}
