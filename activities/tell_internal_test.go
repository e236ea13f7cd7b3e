package activities

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify"
)

// What is told has nothing, the names that are added to it included, that templates for its type are not let show.
func TestWhatIsToldOfHealthHasTheVariablesOfItsType(t *testing.T) {
	d := dbtest.New(t)
	datasource, err := d.CreateDatasource(t.Context(), db.Datasource{
		Name: "orders", Type: domain.Postgres, Enabled: true, Config: domain.ConnectionConfig{Host: "db.example", Port: 5432, Database: "orders", Username: "app"},
	})
	require.NoError(t, err)
	location, err := d.CreateStorageLocation(t.Context(), db.StorageLocation{Name: "offsite", Type: domain.StorageLocal, Enabled: true, Config: domain.StorageConfig{Path: "/srv"}})
	require.NoError(t, err)
	job, err := d.CreateBackupJob(t.Context(), db.BackupJob{Name: "nightly", DatasourceID: datasource.ID, StorageLocationID: location.ID, Enabled: true})
	require.NoError(t, err)
	bad := contract.CheckResult{Status: "failed", Message: "no route", Hint: "Start it."}
	told := []*db.Notification{
		tellOverdue(db.OverdueJob{Job: job}, domain.NotifyHealthDegraded),
		tellPool("default", domain.NotifyConnectionLost), tellPool("default", domain.NotifyConnectionRestored),
		noCopyAlert(contract.TargetReport{Result: domain.StorageResult{StorageLocationID: location.ID, Name: location.Name, FailureClass: "Unreachable", Hint: "Start it."}}),
		cleanupCompleted(job, domain.RetentionResult{Removed: 2}),
	}
	for _, kind := range []domain.NotificationType{domain.NotifyConnectionLost, domain.NotifyConnectionRestored, domain.NotifyHealthDegraded} {
		told = append(told, tellDatasource(datasource, kind, bad, domain.HealthSettings{}))
	}
	for _, kind := range []domain.NotificationType{domain.NotifyStorageFull, domain.NotifyStorageUnreachable, domain.NotifyConnectionRestored} {
		told = append(told, tellStorage(location, kind, bad))
	}
	for _, damage := range []bool{true, false} {
		n := alertOf(location, []db.FreshDamage{{Key: "a", Reason: "gone", Healed: !damage}}, nil, nil)
		told = append(told, &n)
	}
	for _, n := range told {
		require.NoError(t, d.AddNotification(t.Context(), *n))
	}
	stored, _, err := d.ListNotifications(t.Context(), db.NotificationFilter{}, db.Page{Limit: db.MaxPageSize})
	require.NoError(t, err)
	require.Len(t, stored, len(told))
	seen := []domain.NotificationType{}
	for _, n := range stored {
		e := notify.Event{Type: n.Type, Metadata: n.Metadata}.FromMetadata("https://backup.example.com")
		require.Empty(t, e.Undocumented(), "%s: %s", n.Type, n.Title)
		seen = append(seen, n.Type)
	}
	for _, kind := range []domain.NotificationType{domain.NotifyStorageFull, domain.NotifyHealthDegraded, domain.NotifyCleanupCompleted, domain.NotifyBackupFailed} {
		require.True(t, slices.Contains(seen, kind), "%s", kind)
	}
}
