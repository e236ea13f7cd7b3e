package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/process"
)

// Nobody asks for a check: an API process makes the schedules, and each of the two checks what is its own, once a run.
func TestDatasourcesAndStorageLocationsAreCheckedByTheirSchedules(t *testing.T) {
	i := newIsland(t)
	i.filesJob("checked", 1000, client.BackupJobDocument{})
	t.Cleanup(process.StartReconcilingEvery(t.Context(), time.Second, i.db, i.dialled, quiet()))
	conn := i.admin(t, "dataguardian")
	once := func(id, checks string) bool {
		d, err := i.dialled.ScheduleClient().GetHandle(t.Context(), id).Describe(t.Context())
		if err != nil || d.Info.NumActions == 0 || len(d.Info.RunningWorkflows) > 0 {
			return false
		}
		var rows int
		return conn.QueryRow(t.Context(), checks).Scan(&rows) == nil && rows == d.Info.NumActions
	}
	require.Eventually(t, func() bool {
		return once(contract.HealthScheduleID, `SELECT count(*) FROM health_checks WHERE status = 'ok'`) &&
			once(contract.StorageHealthScheduleID, `SELECT count(*) FROM storage_health_checks`)
	}, patience, 100*time.Millisecond)
	health, err := i.owner.Health(t.Context())
	require.NoError(t, err)
	require.Equal(t, "ok", health.Status)
	require.Equal(t, map[string]int{"healthy": 1}, health.StorageLocations)
}
