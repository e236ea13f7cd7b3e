package db_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestNamesAreUniqueWhateverTheirCase(t *testing.T) {
	d := dbtest.New(t)
	newJob(t, d, "Ärzte")
	var duplicate *db.DuplicateError
	_, err := d.CreateDatasource(t.Context(), db.Datasource{Name: "äRZTE", Type: domain.Postgres})
	require.ErrorAs(t, err, &duplicate)
	require.Equal(t, "name", duplicate.Field)
	_, err = d.CreateStorageLocation(t.Context(), db.StorageLocation{Name: "ÄRZTE", Type: domain.StorageLocal})
	require.ErrorAs(t, err, &duplicate)
}

func TestAnUpdateOfAnOldVersionIsRefused(t *testing.T) {
	d := dbtest.New(t)
	read := newDatasource(t, d, "orders")
	read.Name = "orders 2"
	updated, err := d.UpdateDatasource(t.Context(), read)
	require.NoError(t, err)
	require.Equal(t, read.Version+1, updated.Version)
	_, err = d.UpdateDatasource(t.Context(), read)
	require.ErrorIs(t, err, db.ErrVersionMismatch)
	read.Version = 0
	_, err = d.UpdateDatasource(t.Context(), read)
	require.NoError(t, err, "version 0 overwrites")

	location := newStorage(t, d, "disk")
	_, err = d.UpdateStorageLocation(t.Context(), location)
	require.NoError(t, err)
	_, err = d.UpdateStorageLocation(t.Context(), location)
	require.ErrorIs(t, err, db.ErrVersionMismatch)

	job := newJob(t, d, "nightly")
	job.BackupOptions.Verify = domain.VerifyFull
	stored, err := d.UpdateBackupJob(t.Context(), job)
	require.NoError(t, err)
	require.Equal(t, domain.VerifyFull, stored.BackupOptions.Verify)
	require.Equal(t, domain.DefaultRetention(), stored.RetentionPolicy)
	_, err = d.UpdateBackupJob(t.Context(), job)
	require.ErrorIs(t, err, db.ErrVersionMismatch)
}

func TestOneStorageLocationIsTheDefault(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	first, second := newStorage(t, d, "first"), newStorage(t, d, "second")
	for _, location := range []db.StorageLocation{first, second} {
		location.IsDefault = true
		_, err := d.UpdateStorageLocation(t.Context(), location)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"second"}, rows(t, url, "SELECT name FROM storage_locations WHERE is_default"))
	require.ErrorContains(t, attempt(t, url, "UPDATE storage_locations SET is_default = true"), "storage_locations_one_default")
}

func TestWhatIsInUseIsNotDeleted(t *testing.T) {
	d := dbtest.New(t)
	job := newJob(t, d, "nightly")
	e := newExecution(t, d, job)
	var inUse *db.InUseError

	require.ErrorAs(t, d.DeleteDatasource(t.Context(), job.DatasourceID), &inUse)
	require.Equal(t, []string{`backup job "nightly"`, "queued backup " + e.ID}, inUse.Holders)
	require.ErrorAs(t, d.DeleteStorageLocation(t.Context(), job.StorageLocationID), &inUse)
	require.ErrorAs(t, d.DeleteBackupJob(t.Context(), job.ID), &inUse)
	require.Equal(t, []string{"queued backup " + e.ID}, inUse.Holders)

	finish(t, d, e.ID, domain.Completed)
	require.NoError(t, d.DeleteBackupJob(t.Context(), job.ID))
	require.ErrorAs(t, d.DeleteDatasource(t.Context(), job.DatasourceID), &inUse, "a kept backup holds its datasource")
	require.Equal(t, []string{"completed backup " + e.ID}, inUse.Holders)
}

func TestHistoryOutlivesWhatItNames(t *testing.T) {
	d := dbtest.New(t)
	job := newJob(t, d, "nightly")
	e := newExecution(t, d, job)
	finish(t, d, e.ID, domain.Failed)
	require.NoError(t, d.DeleteBackupJob(t.Context(), job.ID))
	require.NoError(t, d.DeleteDatasource(t.Context(), job.DatasourceID))
	require.NoError(t, d.DeleteStorageLocation(t.Context(), job.StorageLocationID))
	e, err := d.GetExecution(t.Context(), e.ID)
	require.NoError(t, err)
	require.Nil(t, e.JobID)
	require.Nil(t, e.DatasourceID)
	require.Nil(t, e.StorageLocationID)
}

func TestHealthSetsTheStatusUnlessANewerCheckDid(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	source, location := newDatasource(t, d, "orders"), newStorage(t, d, "disk")
	now := time.Now()
	for _, check := range []struct {
		status domain.DatasourceStatus
		at     time.Time
	}{{domain.DatasourceHealthy, now}, {domain.DatasourceCritical, now.Add(-time.Minute)}} {
		require.NoError(t, d.RecordDatasourceHealth(t.Context(), db.DatasourceHealth{
			DatasourceID: source.ID, Status: domain.HealthOK, DatasourceStatus: check.status, Latency: time.Millisecond, CheckedAt: check.at,
		}))
	}
	read, err := d.GetDatasource(t.Context(), source.ID)
	require.NoError(t, err)
	require.Equal(t, domain.DatasourceHealthy, read.Status)
	require.WithinDuration(t, now, *read.LastHealthCheckAt, time.Millisecond)
	require.Equal(t, source.Version, read.Version, "a check is no edit")
	require.Len(t, rows(t, url, "SELECT id::text FROM health_checks"), 2)

	free := 12.5
	for _, space := range []*float64{&free, nil} {
		require.NoError(t, d.RecordStorageHealth(t.Context(), db.StorageHealth{
			StorageLocationID: location.ID, Status: domain.HealthOK, LocationStatus: domain.StorageIsFull, AvailableSpaceGB: space,
		}))
	}
	location, err = d.GetStorageLocation(t.Context(), location.ID)
	require.NoError(t, err)
	require.Equal(t, domain.StorageIsFull, location.Status)
	require.Equal(t, free, *location.AvailableSpaceGB, "the last known value stays")
}

func TestPagesOverEqualTimesMissNothing(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	job := newJob(t, d, "nightly")
	var ids []string
	for range 11 {
		e := newExecution(t, d, job)
		finish(t, d, e.ID, domain.Completed)
		ids = append(ids, e.ID)
	}
	dbtest.Execute(t, url, "UPDATE backup_executions SET created_at = '2030-01-01 00:00:00.123456Z'")
	slices.Sort(ids)
	slices.Reverse(ids)

	var seen []string
	page := db.Page{Limit: 3}
	for {
		list, next, err := d.ListExecutions(t.Context(), db.ExecutionFilter{JobID: job.ID, Status: domain.Completed}, page)
		require.NoError(t, err)
		for _, e := range list {
			seen = append(seen, e.ID)
		}
		if next == "" {
			break
		}
		require.Len(t, list, 3)
		page.Cursor = next
	}
	require.Equal(t, ids, seen)

	for _, cursor := range []string{"%", "bm8", "MTIzLm5v"} {
		_, _, err := d.ListDatasources(t.Context(), db.Page{Cursor: cursor})
		require.ErrorIs(t, err, db.ErrInvalidCursor, cursor)
	}
}

func TestExecutionsAreFoundByEveryFilter(t *testing.T) {
	d := dbtest.New(t)
	wanted := newRunning(t, d, "wanted")
	other := newExecution(t, d, newJob(t, d, "other"))
	for name, filter := range map[string]db.ExecutionFilter{
		"job":        {JobID: *wanted.JobID},
		"datasource": {DatasourceID: *wanted.DatasourceID},
		"storage":    {StorageLocationID: *wanted.StorageLocationID},
		"status":     {Status: domain.Running},
		"to":         {To: other.CreatedAt},
	} {
		list, next, err := d.ListExecutions(t.Context(), filter, db.Page{})
		require.NoError(t, err, name)
		require.Empty(t, next)
		require.Len(t, list, 1, name)
		require.Equal(t, wanted.ID, list[0].ID, name)
	}
	for name, filter := range map[string]db.ExecutionFilter{
		"operation": {Operation: domain.OperationRestore}, "from": {From: time.Now().Add(time.Hour)}, "no id": {JobID: "no-id"},
	} {
		list, _, err := d.ListExecutions(t.Context(), filter, db.Page{})
		require.NoError(t, err, name)
		require.Empty(t, list, name)
	}
}
