package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// What the dashboard shows at most.
const (
	dashboardDays     = 30
	dashboardRunning  = 20
	dashboardNext     = 10
	dashboardFailures = 10
	dashboardTrouble  = 100 // overdue jobs, and datasources that are not healthy
)

// Overview is the state of the installation at a glance.
type Overview struct {
	GeneratedAt      time.Time         `json:"generated_at"`
	Totals           OverviewTotals    `json:"totals"`
	SuccessRate      *float64          `json:"success_rate" doc:"Completed among the completed and failed backups of the days below, 0 to 1; null when there were none" example:"0.98"`
	Days             []OverviewDay     `json:"days" nullable:"false" doc:"The last 30 days in UTC, oldest first"`
	Running          []Execution       `json:"running" nullable:"false" doc:"Running, then queued, newest first, 20 at most"`
	NextRuns         []NextRun         `json:"next_runs" nullable:"false" doc:"The next 10 runs of backup jobs, sync jobs and drill jobs"`
	Storage          []OverviewStorage `json:"storage" nullable:"false" doc:"Newest first, 100 at most"`
	DatasourceHealth OverviewHealth    `json:"datasource_health"`
	OverdueJobs      []OverdueJob      `json:"overdue_jobs" nullable:"false" doc:"Enabled jobs without a completed backup within twice the period of their schedule, the longest overdue first, 100 at most"`
	LastFailures     []Execution       `json:"last_failures" nullable:"false" doc:"Newest first, 10 at most, without their logs"`
}

// OverviewTotals counts resources.
type OverviewTotals struct {
	Datasources             int64 `json:"datasources"`
	EnabledDatasources      int64 `json:"enabled_datasources"`
	StorageLocations        int64 `json:"storage_locations"`
	EnabledStorageLocations int64 `json:"enabled_storage_locations"`
	BackupJobs              int64 `json:"backup_jobs"`
	EnabledBackupJobs       int64 `json:"enabled_backup_jobs"`
	Backups                 int64 `json:"backups" doc:"Kept"`
	StoredBytes             int64 `json:"stored_bytes" doc:"That the kept backups added to storage locations, copies not counted"`
}

// OverviewDay is a day of backups.
type OverviewDay struct {
	Date        string   `json:"date" format:"date"`
	Completed   int64    `json:"completed"`
	Failed      int64    `json:"failed"`
	Cancelled   int64    `json:"cancelled"`
	SuccessRate *float64 `json:"success_rate" doc:"null when none completed or failed"`
	SizeBytes   int64    `json:"size_bytes" doc:"Of the completed backups' dumps"`
	AddedBytes  int64    `json:"added_bytes" doc:"That they added to storage locations"`
}

// OverviewStorage is a storage location with what it keeps.
type OverviewStorage struct {
	ID               string                       `json:"id" format:"uuid"`
	Name             string                       `json:"name"`
	Type             domain.StorageLocationType   `json:"type"`
	Enabled          bool                         `json:"enabled"`
	Status           domain.StorageLocationStatus `json:"status"`
	AvailableSpaceGB *float64                     `json:"available_space_gb" doc:"null unknown"`
	Backups          int64                        `json:"backups" doc:"Made there and kept"`
	StoredBytes      int64                        `json:"stored_bytes" doc:"That they added"`
}

// OverviewHealth counts the enabled datasources by state, and names those that are not healthy.
type OverviewHealth struct {
	Counts  map[domain.DatasourceStatus]int64 `json:"counts"`
	Trouble []DatasourceState                 `json:"trouble" nullable:"false" doc:"Neither healthy nor unknown, 100 at most"`
}

// DatasourceState is the state of a datasource.
type DatasourceState struct {
	DatasourceID      string                  `json:"datasource_id" format:"uuid"`
	Name              string                  `json:"name"`
	Status            domain.DatasourceStatus `json:"status"`
	LastHealthCheckAt *time.Time              `json:"last_health_check_at"`
}

func (s *server) registerDashboard() {
	register(s, requires(auth.DashboardRead), huma.Operation{
		OperationID: "get-dashboard", Method: http.MethodGet, Path: "/api/dashboard/overview", Tags: []string{"Dashboard"},
		Summary: "The installation at a glance",
		Description: "Totals, success and bytes by day, what runs, what runs next, storage, health, overdue jobs and the last failures: " +
			"of what the caller sees, where the permission is limited.",
	}, s.getDashboard)
}

// getDashboard asks for all parts at once: each is a query of its own.
func (s *server) getDashboard(ctx context.Context, _ *empty) (*body[Overview], error) {
	now := time.Now().UTC()
	since := now.Truncate(24*time.Hour).AddDate(0, 0, 1-dashboardDays)
	var (
		days      []db.BackupDay
		counts    db.ResourceCounts
		stored    []db.StoredTotal
		locations []db.StorageLocation
		health    []db.DatasourceState
		jobs      []db.ScheduledJob
		others    []db.OtherSchedule
		active    [2][]db.Execution
		failures  []db.Execution
	)
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(4) // of the pool's connections
	all.Go(func() (err error) { days, err = s.db.BackupDays(ctx, since); return })
	all.Go(func() (err error) { stored, err = s.db.StoredTotals(ctx); return })
	all.Go(func() (err error) { jobs, err = s.db.ScheduledJobs(ctx); return })
	all.Go(func() (err error) { others, err = s.db.OtherSchedules(ctx); return })
	all.Go(func() (err error) { counts, err = s.db.CountResources(ctx); return })
	all.Go(func() (err error) {
		locations, _, err = s.db.ListStorageLocations(ctx, db.Page{Limit: dashboardTrouble})
		return
	})
	all.Go(func() (err error) { health, err = s.db.EnabledDatasourceStates(ctx); return })
	for i, status := range []domain.ExecutionStatus{domain.Running, domain.Queued} {
		all.Go(func() (err error) {
			active[i], _, err = s.db.ListExecutions(ctx, db.ExecutionFilter{Status: status}, db.Page{Limit: dashboardRunning})
			return
		})
	}
	all.Go(func() (err error) {
		failures, _, err = s.db.ListExecutions(ctx, db.ExecutionFilter{Status: domain.Failed}, db.Page{Limit: dashboardFailures})
		return
	})
	if err := all.Wait(); err != nil {
		return nil, err
	}
	view := Overview{GeneratedAt: now, Totals: viewTotals(counts, stored), LastFailures: briefly(failures)}
	view.Days, view.SuccessRate = viewDays(days, since)
	running := append(active[0], active[1]...)
	view.Running = briefly(running[:min(len(running), dashboardRunning)])
	view.Storage, view.DatasourceHealth = viewStored(locations, stored), viewHealth(health)
	view.NextRuns, view.OverdueJobs = agenda(jobs, others, now)
	return &body[Overview]{view}, nil
}

func briefly(rows []db.Execution) []Execution {
	views := make([]Execution, len(rows))
	for i, row := range rows {
		views[i] = brief(row)
	}
	return views
}

func viewTotals(counts db.ResourceCounts, stored []db.StoredTotal) OverviewTotals {
	totals := OverviewTotals{
		Datasources: counts.Datasources, EnabledDatasources: counts.EnabledDatasources,
		StorageLocations: counts.StorageLocations, EnabledStorageLocations: counts.EnabledStorageLocations,
		BackupJobs: counts.BackupJobs, EnabledBackupJobs: counts.EnabledBackupJobs,
	}
	for _, at := range stored {
		totals.Backups += at.Backups
		totals.StoredBytes += at.Bytes
	}
	return totals
}

// viewDays gives every day since a midnight, those without backups too, and the success of all together.
func viewDays(rows []db.BackupDay, since time.Time) ([]OverviewDay, *float64) {
	known := make(map[string]db.BackupDay, len(rows))
	for _, row := range rows {
		known[row.Day.UTC().Format(time.DateOnly)] = row
	}
	var completed, failed int64
	days := make([]OverviewDay, dashboardDays)
	for i := range days {
		date := since.AddDate(0, 0, i).Format(time.DateOnly)
		row := known[date]
		completed, failed = completed+row.Completed, failed+row.Failed
		days[i] = OverviewDay{
			Date: date, Completed: row.Completed, Failed: row.Failed, Cancelled: row.Cancelled,
			SuccessRate: rate(row.Completed, row.Failed), SizeBytes: row.SizeBytes, AddedBytes: row.AddedBytes,
		}
	}
	return days, rate(completed, failed)
}

func rate(completed, failed int64) *float64 {
	if completed+failed == 0 {
		return nil
	}
	share := float64(completed) / float64(completed+failed)
	return &share
}

func viewStored(locations []db.StorageLocation, stored []db.StoredTotal) []OverviewStorage {
	at := make(map[string]db.StoredTotal, len(stored))
	for _, total := range stored {
		at[total.StorageLocationID] = total
	}
	views := make([]OverviewStorage, len(locations))
	for i, row := range locations {
		views[i] = OverviewStorage{
			ID: row.ID, Name: row.Name, Type: row.Type, Enabled: row.Enabled, Status: row.Status, AvailableSpaceGB: row.AvailableSpaceGB,
			Backups: at[row.ID].Backups, StoredBytes: at[row.ID].Bytes,
		}
	}
	return views
}

func viewHealth(rows []db.DatasourceState) OverviewHealth {
	view := OverviewHealth{Counts: map[domain.DatasourceStatus]int64{}, Trouble: []DatasourceState{}}
	for _, row := range rows {
		view.Counts[row.Status]++
		fine := row.Status == domain.DatasourceHealthy || row.Status == domain.DatasourceUnknown
		if !fine && len(view.Trouble) < dashboardTrouble {
			view.Trouble = append(view.Trouble, DatasourceState{DatasourceID: row.ID, Name: row.Name, Status: row.Status, LastHealthCheckAt: row.LastHealthCheckAt})
		}
	}
	return view
}
