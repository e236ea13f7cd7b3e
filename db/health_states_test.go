package db_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func told(t *testing.T, url string) []string {
	t.Helper()
	return rows(t, url, `SELECT type::text FROM notifications ORDER BY created_at, id`)
}

func TestChecksThatEndTogetherTellOnce(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	source := newDatasource(t, d, "orders")
	settings := domain.DefaultHealth()
	check := func(status domain.HealthCheckStatus) error {
		return d.RecordDatasourceHealth(t.Context(), db.DatasourceHealth{
			DatasourceID: source.ID, Status: status,
			Judge: func(before domain.HealthState) (domain.DatasourceStatus, domain.HealthState, *db.Notification) {
				status, next, notify := settings.Datasource(before, status, 1)
				if notify == "" {
					return status, next, nil
				}
				return status, next, &db.Notification{
					Type: notify, Severity: domain.SeverityCritical, EntityType: domain.EntityDatasource, EntityID: source.ID, Title: "x",
				}
			},
		})
	}
	for _, err := range together(8, func(int) error { return check(domain.HealthUnreachable) }) {
		require.NoError(t, err)
	}
	require.Equal(t, []string{"connection_lost"}, told(t, url))
	states, err := d.HealthStates(t.Context(), domain.CheckedDatasource)
	require.NoError(t, err)
	require.Equal(t, domain.HealthState{Failures: 8, Announced: domain.ToldLost}, states[source.ID].HealthState)
	read, err := d.GetDatasource(t.Context(), source.ID)
	require.NoError(t, err)
	require.Equal(t, domain.DatasourceCritical, read.Status)

	for _, err := range together(4, func(int) error { return check(domain.HealthOK) }) {
		require.NoError(t, err)
	}
	require.Equal(t, []string{"connection_lost", "connection_restored"}, told(t, url))
}

func TestTheHealthOfWhatIsGoneIsForgotten(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	source := newDatasource(t, d, "orders")
	keep := func(domain.HealthState) (domain.HealthState, *db.Notification) { return domain.HealthState{}, nil }
	for kind, id := range map[domain.CheckedKind]string{domain.CheckedDatasource: source.ID, domain.CheckedPool: "default"} {
		require.NoError(t, d.MoveHealth(t.Context(), kind, id, keep))
	}
	for _, kind := range []domain.CheckedKind{domain.CheckedDatasource, domain.CheckedStorage, domain.CheckedJob, domain.CheckedPool} {
		require.NoError(t, d.MoveHealth(t.Context(), kind, "9a3f0c62-7f2e-4b1e-9d0c-0a4b1c2d3e4f", keep))
	}
	storage, err := d.CreateStorageLocation(t.Context(), db.StorageLocation{Name: "disk", Type: domain.StorageLocal, Config: domain.StorageConfig{Path: "/disk"}})
	require.NoError(t, err)
	for _, id := range []string{"dataguardian-upkeep", "scrub-" + storage.ID, "scrub-9a3f0c62-7f2e-4b1e-9d0c-0a4b1c2d3e4f"} {
		require.NoError(t, d.MoveHealth(t.Context(), domain.CheckedSchedule, id, keep))
	}
	require.NoError(t, d.ForgetHealthStates(t.Context()))
	require.Equal(t, []string{"datasource " + source.ID, "pool default", "schedule dataguardian-upkeep", "schedule scrub-" + storage.ID}, rows(t, url, `SELECT entity_type || ' ' || entity_id FROM health_states ORDER BY 1`))
	pools, err := d.PoolsInUse(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"default"}, pools)
}

func TestTheTrendOfAStorageLocationIsThatOfItsLeastSquares(t *testing.T) {
	d := dbtest.New(t)
	ctx := t.Context()
	growing, shrinking, young := newStorage(t, d, "growing"), newStorage(t, d, "shrinking"), newStorage(t, d, "young")
	record := func(id string, ago time.Duration, used *int64, free *float64) {
		require.NoError(t, d.RecordStorageHealth(ctx, db.StorageHealth{
			StorageLocationID: id, Status: domain.HealthOK, LocationStatus: domain.StorageHealthy, UsedBytes: used, AvailableSpaceGB: free, CheckedAt: time.Now().Add(-ago),
		}))
	}
	day := 24 * time.Hour
	for i := range 6 { // ten bytes a second, with a wobble that cancels out
		used := 1_000_000 + 10*int64((5-i)*86_400)
		free := 100 - float64(used)/1e9
		record(growing.ID, time.Duration(i)*day, &used, &free)
		left := 50 - float64(5-i) // a gigabyte a day, of a location that does not say what is used
		record(shrinking.ID, time.Duration(i)*day, nil, &left)
		record(young.ID, time.Duration(i)*time.Hour, &used, nil)
	}
	trends, err := d.StorageTrends(ctx, []string{growing.ID, shrinking.ID, young.ID})
	require.NoError(t, err)
	require.InDelta(t, 10, trends[growing.ID], 0.01)
	require.InDelta(t, 1e9/86_400, trends[shrinking.ID], 1)
	require.NotContains(t, trends, young.ID, "some hours say nothing")
}

func TestTheHistoryOfChecksComesInPages(t *testing.T) {
	d := dbtest.New(t)
	source, location := newDatasource(t, d, "orders"), newStorage(t, d, "disk")
	at := time.Now().Truncate(time.Millisecond)
	for i := range 5 {
		when := at.Add(time.Duration(i) * time.Minute)
		require.NoError(t, d.RecordDatasourceHealth(t.Context(), db.DatasourceHealth{DatasourceID: source.ID, Status: domain.HealthOK, DatasourceStatus: domain.DatasourceHealthy, CheckedAt: when}))
		require.NoError(t, d.RecordStorageHealth(t.Context(), db.StorageHealth{StorageLocationID: location.ID, Status: domain.HealthOK, LocationStatus: domain.StorageHealthy, CheckedAt: when}))
	}
	first, next, err := d.ListHealthChecks(t.Context(), source.ID, db.Page{Limit: 3})
	require.NoError(t, err)
	require.Len(t, first, 3)
	require.WithinDuration(t, at.Add(4*time.Minute), first[0].CheckedAt, 0)
	rest, next, err := d.ListHealthChecks(t.Context(), source.ID, db.Page{Limit: 3, Cursor: next})
	require.NoError(t, err)
	require.Len(t, rest, 2)
	require.Empty(t, next)
	stored, _, err := d.ListStorageHealthChecks(t.Context(), location.ID, db.Page{Limit: 10})
	require.NoError(t, err)
	require.Len(t, stored, 5)
	sources, _, err := d.ListDatasourceHealth(t.Context(), db.Page{})
	require.NoError(t, err)
	require.Len(t, sources, 1)
	require.Equal(t, first[0], *sources[0].Last)
	locations, _, err := d.ListStorageHealth(t.Context(), db.Page{})
	require.NoError(t, err)
	require.Len(t, locations, 1)
	require.Equal(t, stored[0], *locations[0].Last)
	unchecked := newDatasource(t, d, "unchecked")
	sources, next, err = d.ListDatasourceHealth(t.Context(), db.Page{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, unchecked.ID, sources[0].ID)
	require.Nil(t, sources[0].Last)
	sources, _, err = d.ListDatasourceHealth(t.Context(), db.Page{Limit: 1, Cursor: next})
	require.NoError(t, err)
	require.Equal(t, source.ID, sources[0].ID)
}

func TestJobsAreListedWithTheirLastBackup(t *testing.T) {
	d := dbtest.New(t)
	ctx := t.Context()
	fresh, never, off := newJob(t, d, "fresh"), newJob(t, d, "never"), newJob(t, d, "off")
	for _, j := range []*db.BackupJob{&fresh, &never, &off} {
		j.ScheduleCron, j.Enabled = "@daily", j.ID != off.ID
		var err error
		*j, err = d.UpdateBackupJob(ctx, *j)
		require.NoError(t, err)
	}
	newJob(t, d, "by hand")
	completed(t, d, fresh)
	seen := map[string]*time.Time{}
	require.NoError(t, d.OverdueJobs(ctx, func(_, _ string, last time.Time) (time.Time, error) { return last.Add(time.Hour), nil },
		func(found db.OverdueJob) error {
			seen[found.Job.Name] = found.LastAt
			require.WithinDuration(t, time.Now().Add(time.Hour), found.OverdueAt, time.Minute)
			return nil
		}))
	require.Len(t, seen, 2)
	require.NotNil(t, seen["fresh"])
	require.Nil(t, seen["never"])
}

// A job that was disabled for a month, or has another cron now, is not overdue at once: its schedule begins anew.
func TestAJobIsOverdueFromItsPresentScheduleOn(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	job := newJob(t, d, "orders")
	job.ScheduleCron, job.Enabled = "@daily", true
	job, err := d.UpdateBackupJob(t.Context(), job)
	require.NoError(t, err)
	completed(t, d, job)
	dbtest.Execute(t, url, `UPDATE backup_executions SET finished_at = now() - interval '30 days'`)
	age := func() time.Duration { // of what the job is judged by
		t.Helper()
		var from time.Time
		require.NoError(t, d.OverdueJobs(t.Context(), func(_, _ string, last time.Time) (time.Time, error) { from = last; return last, nil },
			func(db.OverdueJob) error { return nil }))
		require.False(t, from.IsZero())
		return time.Since(from)
	}
	for name, change := range map[string]func(*db.BackupJob){
		"enabled again":     func(j *db.BackupJob) { j.Enabled = true },
		"another cron":      func(j *db.BackupJob) { j.ScheduleCron = "@hourly" },
		"another time zone": func(j *db.BackupJob) { j.ScheduleTimezone = "Asia/Tokyo" },
	} {
		job.Version, job.Enabled = 0, name != "enabled again"
		job, err = d.UpdateBackupJob(t.Context(), job)
		require.NoError(t, err)
		dbtest.Execute(t, url, `UPDATE backup_jobs SET schedule_since = now() - interval '60 days'`)
		job.Version = 0
		change(&job)
		job, err = d.UpdateBackupJob(t.Context(), job)
		require.NoError(t, err)
		require.Less(t, age(), time.Minute, name)
		dbtest.Execute(t, url, `UPDATE backup_jobs SET schedule_since = now() - interval '60 days'`)
		job.Version, job.Name = 0, name
		job, err = d.UpdateBackupJob(t.Context(), job)
		require.NoError(t, err)
		require.InDelta(t, 30*24*time.Hour, age(), float64(time.Hour), "any other change leaves it as it is: its last backup counts")
	}
}
