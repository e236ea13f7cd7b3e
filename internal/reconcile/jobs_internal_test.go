package reconcile

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/schedule"
)

// The upkeep comes every five minutes; to compare ten thousand schedules takes it as long.
func TestAllSchedulesOfJobsAreComparedOnceAnHour(t *testing.T) {
	var s JobSchedules
	now := time.Now()
	require.True(t, s.comparesAll(now), "a new process knows none")
	s.right, s.checked = map[string]schedule.Spec{}, now
	require.False(t, s.comparesAll(now.Add(6*time.Minute)))
	require.False(t, s.comparesAll(now.Add(59*time.Minute)))
	require.True(t, s.comparesAll(now.Add(61*time.Minute)))
}
