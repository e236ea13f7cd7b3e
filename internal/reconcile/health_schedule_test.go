package reconcile_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
)

// An earlier version had one schedule, which checked storage locations too.
func TestAnInstallationWithOneHealthScheduleGetsBoth(t *testing.T) {
	u := newUpkept(t)
	old := client.Schedule{
		Spec: &client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: time.Hour}}},
		Action: &client.ScheduleWorkflowAction{
			ID: contract.HealthScheduleID, Workflow: contract.CheckHealth.Name, Args: []any{json.RawMessage("{}")}, TaskQueue: contract.SystemTaskQueue,
			StaticSummary: "Check datasources, storage locations, pools and overdue jobs",
		},
		Policy: &client.SchedulePolicies{}, State: &client.ScheduleState{Paused: true, Note: "too much load"},
	}
	u.schedules.there[contract.HealthScheduleID] = old
	for range 2 {
		require.NoError(t, reconcile.EnsureHealth(t.Context(), u.d, u.temporal))
	}
	require.Len(t, u.schedules.there, 2)
	health, stored := u.schedules.there[contract.HealthScheduleID], u.schedules.there[contract.StorageHealthScheduleID]
	require.Equal(t, contract.CheckHealth.Name, health.Action.(*client.ScheduleWorkflowAction).Workflow)
	require.NotContains(t, health.Action.(*client.ScheduleWorkflowAction).StaticSummary, "storage")
	require.Equal(t, contract.CheckStorage.Name, stored.Action.(*client.ScheduleWorkflowAction).Workflow)
	require.Equal(t, 5*time.Minute, health.Spec.Intervals[0].Every)
	require.Equal(t, 5*time.Minute, stored.Spec.Intervals[0].Every)
	require.True(t, health.State.Paused, "somebody's pause stays, and is told")
	require.False(t, stored.State.Paused)
	states, err := u.d.HealthStates(t.Context(), domain.CheckedSchedule)
	require.NoError(t, err)
	require.Equal(t, domain.ToldPaused, states[contract.HealthScheduleID].Announced)

	stored.State.Paused, stored.State.Note = true, "the disks are exchanged"
	require.NoError(t, reconcile.EnsureHealth(t.Context(), u.d, u.temporal))
	states, err = u.d.HealthStates(t.Context(), domain.CheckedSchedule)
	require.NoError(t, err)
	require.Equal(t, domain.ToldPaused, states[contract.StorageHealthScheduleID].Announced)
}
