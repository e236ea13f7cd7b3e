package domain

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// seen is what checks, one after the other, make of a datasource.
func seen(s HealthSettings, checks ...any) (statuses []DatasourceStatus, told []NotificationType) {
	var state HealthState
	for _, c := range checks {
		check, latency := HealthOK, int64(0)
		switch c := c.(type) {
		case HealthCheckStatus:
			check = c
		case int:
			latency = int64(c)
		}
		var status DatasourceStatus
		var notify NotificationType
		status, state, notify = s.Datasource(state, check, latency)
		statuses = append(statuses, status)
		if notify != "" {
			told = append(told, notify)
		}
	}
	return statuses, told
}

func TestADatasourceIsCriticalAfterFailuresInARow(t *testing.T) {
	bad, fast, slow := HealthUnreachable, 10, 1001
	tests := map[string]struct {
		failures int
		checks   []any
		statuses []DatasourceStatus
		told     []NotificationType
	}{
		"one that answers":                     {2, []any{fast, fast}, []DatasourceStatus{DatasourceHealthy, DatasourceHealthy}, nil},
		"one failure, of which nobody is told": {2, []any{fast, bad, fast}, []DatasourceStatus{DatasourceHealthy, DatasourceWarning, DatasourceHealthy}, nil},
		"an outage, told once at each end": {2, []any{fast, bad, bad, bad, bad, fast, fast},
			[]DatasourceStatus{DatasourceHealthy, DatasourceWarning, DatasourceCritical, DatasourceCritical, DatasourceCritical, DatasourceHealthy, DatasourceHealthy},
			[]NotificationType{NotifyConnectionLost, NotifyConnectionRestored}},
		"every other check fails": {2, []any{bad, fast, bad, fast, bad}, []DatasourceStatus{DatasourceWarning, DatasourceHealthy, DatasourceWarning, DatasourceHealthy, DatasourceWarning}, nil},
		"slow, which is no failure": {2, []any{slow, slow, bad, slow}, []DatasourceStatus{DatasourceWarning, DatasourceWarning, DatasourceWarning, DatasourceWarning},
			[]NotificationType{NotifyHealthDegraded}},
		"back, but slow":               {1, []any{bad, slow, slow, fast}, []DatasourceStatus{DatasourceCritical, DatasourceWarning, DatasourceWarning, DatasourceHealthy}, []NotificationType{NotifyConnectionLost, NotifyConnectionRestored}},
		"as many failures as it takes": {3, []any{bad, bad, HealthAuthFailed}, []DatasourceStatus{DatasourceWarning, DatasourceWarning, DatasourceCritical}, []NotificationType{NotifyConnectionLost}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := DefaultHealth()
			s.FailuresToCritical = test.failures
			statuses, told := seen(s, test.checks...)
			require.Equal(t, test.statuses, statuses)
			require.Equal(t, test.told, told)
		})
	}
}

func TestWhatIsToldOfAStorageLocation(t *testing.T) {
	for name, test := range map[string]struct {
		checks []StorageLocationStatus
		told   []NotificationType
	}{
		"a blip is not":     {[]StorageLocationStatus{StorageHealthy, StorageUnreachable, StorageHealthy}, nil},
		"an outage is once": {[]StorageLocationStatus{StorageUnreachable, StorageUnreachable, StorageUnreachable, StorageHealthy, StorageHealthy}, []NotificationType{NotifyStorageUnreachable, NotifyConnectionRestored}},
		"that it is full is at once, and that it has space again": {[]StorageLocationStatus{StorageIsFull, StorageIsFull, StorageHealthy}, []NotificationType{NotifyStorageFull, NotifyConnectionRestored}},
		"full, then away": {[]StorageLocationStatus{StorageIsFull, StorageUnreachable, StorageUnreachable, StorageIsFull}, []NotificationType{NotifyStorageFull, NotifyStorageUnreachable, NotifyStorageFull}},
	} {
		t.Run(name, func(t *testing.T) {
			var state HealthState
			var told []NotificationType
			for _, check := range test.checks {
				var notify NotificationType
				if state, notify = DefaultHealth().Storage(state, check); notify != "" {
					told = append(told, notify)
				}
			}
			require.Equal(t, test.told, told)
		})
	}
}

func TestAPoolWithoutWorkersAndAnOverdueJobAreToldOnce(t *testing.T) {
	var state HealthState
	var told []NotificationType
	tell := func(next HealthState, notify NotificationType) {
		if state = next; notify != "" {
			told = append(told, notify)
		}
	}
	for _, served := range []bool{true, false, true, false, false, false, true, true} {
		tell(DefaultHealth().Pool(state, served))
	}
	require.Equal(t, []NotificationType{NotifyConnectionLost, NotifyConnectionRestored}, told)
	told = nil
	for _, overdue := range []bool{false, true, true, false, true} {
		tell(DefaultHealth().Overdue(state, overdue))
	}
	require.Equal(t, []NotificationType{NotifyHealthDegraded, NotifyHealthDegraded}, told)
}
