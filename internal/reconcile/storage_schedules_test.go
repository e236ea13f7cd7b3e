package reconcile_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
	"github.com/dataguardian/dataguardian/internal/standalone/temporalserver"
	"github.com/dataguardian/dataguardian/internal/temporalclient"
)

// Somebody pauses what is done to a storage location every day.
func TestAPauseOfAStorageLocationsScheduleStaysAndIsTold(t *testing.T) {
	server, err := temporalserver.Start(t.Context(), temporalserver.Options{InMemory: true, UIPort: temporalserver.NoUI})
	require.NoError(t, err)
	t.Cleanup(func() { server.Stop(context.WithoutCancel(t.Context())) })
	temporal, err := temporalclient.Dial(t.Context(), temporalclient.Options{Address: server.Address(), Namespace: temporalserver.DefaultNamespace})
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	require.NoError(t, temporalclient.EnsureNamespace(t.Context(), temporal, temporalclient.Namespace{Name: temporalserver.DefaultNamespace, Owned: true}))
	d := dbtest.New(t)
	location, err := d.CreateStorageLocation(t.Context(), db.StorageLocation{
		Name: "disk", Type: domain.StorageLocal, Enabled: true, Config: domain.StorageConfig{Path: "/disk"},
	})
	require.NoError(t, err)
	ensure := func() {
		t.Helper()
		require.NoError(t, reconcile.NewSchedules(d, temporal).Ensure(t.Context()))
	}
	told := func() (titles []string) {
		t.Helper()
		rows, _, err := d.ListNotifications(t.Context(), db.NotificationFilter{}, db.Page{Limit: db.MaxPageSize})
		require.NoError(t, err)
		for _, row := range rows {
			titles = append(titles, row.Title)
		}
		return titles
	}
	ensure()
	scrub := contract.ScrubWorkflowID(location.ID)
	handle := temporal.ScheduleClient().GetHandle(t.Context(), scrub)
	isPaused := func(is bool) func() bool {
		return func() bool {
			described, err := handle.Describe(t.Context())
			return err == nil && described.Schedule.State.Paused == is
		}
	}
	require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "the disk is slow"}))
	require.Eventually(t, isPaused(true), 2*time.Minute, 20*time.Millisecond)
	ensure()
	ensure()
	require.True(t, isPaused(true)(), "it stays")
	require.Equal(t, []string{"Schedule " + scrub + " is paused in Temporal"}, told(), "and is told once")
	states, err := d.HealthStates(t.Context(), domain.CheckedSchedule)
	require.NoError(t, err)
	require.Equal(t, domain.ToldPaused, states[scrub].Announced)

	require.NoError(t, handle.Unpause(t.Context(), client.ScheduleUnpauseOptions{Note: "done"}))
	require.Eventually(t, isPaused(false), 2*time.Minute, 20*time.Millisecond)
	ensure()
	require.Contains(t, told(), "Schedule "+scrub+" runs again")
}
