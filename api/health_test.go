package api

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func (f *fixture) pool(name string, failures int) {
	f.t.Helper()
	require.NoError(f.t, f.db.MoveHealth(f.t.Context(), domain.CheckedPool, name, func(domain.HealthState) (domain.HealthState, *db.Notification) {
		return domain.HealthState{Failures: failures}, nil
	}))
}

func TestHealthIsTheWorstOfWhatTheChecksRecorded(t *testing.T) {
	f := signedIn(t)
	f.temporal.On("CheckHealth", mock.Anything, mock.Anything).Return(&client.CheckHealthResponse{}, nil)
	job, datasource, _ := f.job("orders")
	get := func() reply { return f.call("GET", "/api/health", nil).ok(200) }
	require.Equal(t, "ok", get().get("status"), "nothing was checked yet")
	require.Equal(t, false, get().get("stale"))
	dbtest.Execute(t, f.url, `UPDATE datasources SET created_at = now() - interval '1 day'`)
	require.Equal(t, true, get().get("stale"), "and nobody will")
	require.Equal(t, "warning", get().get("status"))

	f.pool("default", 0)
	require.Equal(t, "ok", get().get("status"))
	require.Equal(t, 1.0, get().get("datasources", "unknown"))
	dbtest.Execute(t, f.url, `UPDATE backup_jobs SET schedule_cron = '*/5 * * * *', schedule_since = now() - interval '1 hour' WHERE id = $1`, job)
	overdue := get().get("overdue_jobs").([]any)
	require.Len(t, overdue, 1)
	require.Equal(t, job, overdue[0].(object)["id"])
	require.Nil(t, overdue[0].(object)["last_backup_at"])
	require.Equal(t, "warning", get().get("status"))
	f.completed(job, datasource, f.call("GET", "/api/backup-jobs/"+job, nil).get("storage_location_id").(string))
	require.Empty(t, get().get("overdue_jobs"))

	f.pool("default", 1)
	require.Equal(t, "critical", get().get("status"))
	pool := get().get("pools").([]any)[0].(object)
	require.Equal(t, false, pool["served"])
	require.Contains(t, pool["message"], "No worker serves pool default")
	listed := f.call("GET", "/api/health/datasources", nil).ok(200).get("items").([]any)[0].(object)
	require.Equal(t, false, listed["pool_served"])
	require.Equal(t, "unknown", listed["status"], "which is not the datasource's fault")
	f.pool("gone", 1) // nobody's any more
	require.Len(t, get().get("pools"), 1)
}

func TestTheHealthOfEachThingHasItsHistory(t *testing.T) {
	f := signedIn(t)
	_, datasource, storage := f.job("orders")
	for i := range 5 {
		at := time.Now().Add(-time.Duration(i) * 12 * time.Hour)
		used, free := int64(10e9-float64(i)*1e9), 20.0
		require.NoError(t, f.db.RecordDatasourceHealth(t.Context(), db.DatasourceHealth{
			DatasourceID: datasource, Status: domain.HealthOK, DatasourceStatus: domain.DatasourceHealthy, Latency: 7 * time.Millisecond, Message: fmt.Sprint(i), CheckedAt: at,
		}))
		require.NoError(t, f.db.RecordStorageHealth(t.Context(), db.StorageHealth{
			StorageLocationID: storage, Status: domain.HealthOK, LocationStatus: domain.StorageHealthy, UsedBytes: &used, AvailableSpaceGB: &free, CheckedAt: at,
		}))
	}
	source := f.call("GET", "/api/health/datasources", nil).ok(200).get("items").([]any)[0].(object)
	require.Equal(t, "healthy", source["status"])
	require.Equal(t, true, source["pool_served"], "as far as anybody knows")
	require.Equal(t, "0", source["last_check"].(object)["message"])
	page := f.call("GET", "/api/health/datasources/"+datasource+"?limit=3", nil).ok(200)
	require.Len(t, page.get("items"), 3)
	require.Len(t, f.call("GET", "/api/health/datasources/"+datasource+"?cursor="+page.get("next_cursor").(string), nil).ok(200).get("items"), 2)

	location := f.call("GET", "/api/health/storage", nil).ok(200).get("items").([]any)[0].(object)
	require.InDelta(t, 2e9, location["bytes_per_day"], 1e6)
	require.InDelta(t, 10, location["days_until_full"], 0.1)
	require.Equal(t, 10e9, location["last_check"].(object)["used_bytes"])
	require.Len(t, f.call("GET", "/api/health/storage/"+storage, nil).ok(200).get("items"), 5)
	f.call("GET", "/api/health/storage/"+datasource, nil).problem(404)
	f.call("GET", "/api/health/datasources/"+storage, nil).problem(404)
	f.as(auth.DatasourcesRead).call("GET", "/api/health/datasources", nil).problem(403)
	f.as(auth.HealthRead).call("GET", "/api/health/storage", nil).ok(200)
}

func TestDaysUntilFull(t *testing.T) {
	free := 10.0
	for name, test := range map[string]struct {
		perSecond float64
		free      *float64
		days      *float64
	}{
		"it shrinks":                {-5, &free, nil},
		"it stands still":           {0, &free, nil},
		"what is free is not known": {5, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, days := untilFull(test.perSecond, test.free)
			require.Equal(t, test.days, days)
		})
	}
}
