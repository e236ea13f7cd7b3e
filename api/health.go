package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// Health is how the platform and what it reaches are.
type Health struct {
	Status   string          `json:"status" enum:"ok,warning,critical,unreachable" doc:"unreachable: Postgres or Temporal does not answer; critical: a datasource is critical, a storage location is full or unreachable, or a pool has no worker; warning: a datasource is warning, a job is overdue, a schedule of the platform is paused, or the checks do not run"`
	Database ComponentHealth `json:"database"`
	Temporal ComponentHealth `json:"temporal"`

	CheckedAt        *time.Time     `json:"checked_at" doc:"When the pool that was checked longest ago was; null before the first run"`
	Stale            bool           `json:"stale" doc:"The checks have not run for three intervals: is a worker running, is the schedule paused?"`
	Datasources      map[string]int `json:"datasources" doc:"Enabled ones, by status"`
	StorageLocations map[string]int `json:"storage_locations" doc:"Enabled ones, by status"`
	Pools            []PoolHealth   `json:"pools" nullable:"false"`
	PausedSchedules  []string       `json:"paused_schedules" nullable:"false" doc:"The platform's own schedules that somebody has paused in Temporal: the upkeep, the health checks"`
	OverdueJobs      []OverdueJob   `json:"overdue_jobs" nullable:"false" doc:"No completed backup within twice the schedule's period; the first hundred"`
}

// PoolHealth says whether workers serve a pool.
type PoolHealth struct {
	Pool      string    `json:"pool"`
	Served    bool      `json:"served" doc:"false: no worker took the last check. Its datasources are not to blame"`
	CheckedAt time.Time `json:"checked_at"`
	Message   string    `json:"message,omitempty"`
}

// OverdueJob is a job that has had no completed backup for too long.
type OverdueJob struct {
	ID           string     `json:"id" format:"uuid"`
	Name         string     `json:"name"`
	ScheduleCron string     `json:"schedule_cron"`
	LastBackupAt *time.Time `json:"last_backup_at" doc:"When the last completed backup ended; null for never"`
	OverdueSince time.Time  `json:"overdue_since"`
}

const (
	maxOverdueListed = 100
	staleIntervals   = 3
)

func (s *server) registerHealth() {
	tags, read := []string{"Health"}, requires(auth.HealthRead)
	register(s, read, huma.Operation{
		OperationID: "get-health", Method: http.MethodGet, Path: "/api/health", Tags: tags, Summary: "Show how datasources, storage locations, pools and jobs are",
		Description: "From what the scheduled checks recorded; nothing is connected to.",
	}, s.getHealth)
	register(s, read, huma.Operation{
		OperationID: "list-datasource-health", Method: http.MethodGet, Path: "/api/health/datasources", Tags: tags, Summary: "List the health of datasources",
	}, s.listDatasourceHealth)
	register(s, read, huma.Operation{
		OperationID: "list-datasource-checks", Method: http.MethodGet, Path: "/api/health/datasources/{id}", Tags: tags,
		Summary: "List the checks of a datasource, newest first", Errors: []int{http.StatusNotFound},
	}, s.listDatasourceChecks)
	register(s, read, huma.Operation{
		OperationID: "list-storage-health", Method: http.MethodGet, Path: "/api/health/storage", Tags: tags, Summary: "List the health of storage locations",
		Description: "With the trend of the last thirty days, and the days until the location is full if it goes on like that.",
	}, s.listStorageHealth)
	register(s, read, huma.Operation{
		OperationID: "list-storage-checks", Method: http.MethodGet, Path: "/api/health/storage/{id}", Tags: tags,
		Summary: "List the checks of a storage location, newest first", Errors: []int{http.StatusNotFound},
	}, s.listStorageChecks)
}

func (s *server) getHealth(ctx context.Context, _ *empty) (*body[Health], error) {
	out := Health{Datasources: map[string]int{}, StorageLocations: map[string]int{}, Pools: []PoolHealth{}, PausedSchedules: []string{}, OverdueJobs: []OverdueJob{}}
	platform := s.probe(ctx)
	out.Status, out.Database, out.Temporal = platform.Status, platform.Database, platform.Temporal
	if platform.Database.Status != healthOK {
		return &body[Health]{out}, nil // what was recorded can not be read
	}
	pools := map[string]bool{} // that the caller sees something of
	oldest, err := s.countHealth(ctx, &out, pools)
	if err != nil {
		return nil, err
	}
	if err := s.addPools(ctx, &out, pools, oldest); err != nil {
		return nil, err
	}
	if err := s.addPaused(ctx, &out); err != nil {
		return nil, err
	}
	overdue := 0
	err = s.db.OverdueJobs(ctx, schedule.OverdueAt, func(found db.OverdueJob) error {
		if found.OverdueAt.IsZero() || time.Now().Before(found.OverdueAt) {
			return nil
		}
		if overdue++; overdue <= maxOverdueListed {
			out.OverdueJobs = append(out.OverdueJobs, OverdueJob{
				ID: found.Job.ID, Name: found.Job.Name, ScheduleCron: found.Job.ScheduleCron, LastBackupAt: found.LastAt, OverdueSince: found.OverdueAt,
			})
		}
		return nil
	})
	if platform.Status == healthOK {
		out.Status = out.verdict()
	}
	return &body[Health]{out}, err
}

// countHealth counts what is checked, and says since when the oldest of it is there.
func (s *server) countHealth(ctx context.Context, out *Health, pools map[string]bool) (oldest time.Time, err error) {
	oldest = time.Now()
	seen := func(pool string, created time.Time) {
		pools[pool] = true
		if created.Before(oldest) {
			oldest = created
		}
	}
	for page := (db.Page{Limit: db.MaxPageSize}); ; {
		rows, next, err := s.db.ListDatasources(ctx, page)
		if err != nil {
			return oldest, err
		}
		for _, d := range rows {
			if d.Enabled {
				out.Datasources[string(d.Status)]++
				seen(d.Pool, d.CreatedAt)
			}
		}
		if page.Cursor = next; next == "" {
			break
		}
	}
	for page := (db.Page{Limit: db.MaxPageSize}); ; {
		rows, next, err := s.db.ListStorageLocations(ctx, page)
		if err != nil {
			return oldest, err
		}
		for _, l := range rows {
			if l.Enabled {
				out.StorageLocations[string(l.Status)]++
				seen(l.Pool, l.CreatedAt)
			}
		}
		if page.Cursor = next; next == "" {
			return oldest, nil
		}
	}
}

// addPools tells of the pools that the caller sees something of.
func (s *server) addPools(ctx context.Context, out *Health, pools map[string]bool, oldest time.Time) error {
	settings, err := s.db.HealthSettings(ctx)
	if err != nil {
		return err
	}
	states, err := s.poolHealth(ctx)
	if err != nil {
		return err
	}
	for _, p := range states {
		if !pools[p.Pool] {
			continue
		}
		out.Pools = append(out.Pools, p)
		if out.CheckedAt == nil || p.CheckedAt.Before(*out.CheckedAt) {
			out.CheckedAt = &p.CheckedAt
		}
	}
	patience := staleIntervals * time.Duration(settings.IntervalSeconds) * time.Second
	if out.CheckedAt != nil {
		oldest = *out.CheckedAt
	}
	out.Stale = len(pools) > 0 && time.Since(oldest) > patience
	return nil
}

// addPaused tells of schedules of the platform that are paused.
func (s *server) addPaused(ctx context.Context, out *Health) error {
	states, err := s.db.HealthStates(ctx, domain.CheckedSchedule)
	for id, state := range states {
		if state.Announced == domain.ToldPaused {
			out.PausedSchedules = append(out.PausedSchedules, id)
		}
	}
	slices.Sort(out.PausedSchedules)
	return err
}

func (s *server) poolHealth(ctx context.Context) ([]PoolHealth, error) {
	states, err := s.db.HealthStates(ctx, domain.CheckedPool)
	if err != nil {
		return nil, err
	}
	return viewPools(states), nil
}

// verdict is the worst of what there is.
func (h Health) verdict() string {
	critical := h.Datasources[string(domain.DatasourceCritical)] > 0 ||
		h.StorageLocations[string(domain.StorageUnreachable)] > 0 || h.StorageLocations[string(domain.StorageIsFull)] > 0
	for _, p := range h.Pools {
		critical = critical || !p.Served
	}
	switch {
	case critical:
		return "critical"
	case h.Stale || len(h.PausedSchedules) > 0 || len(h.OverdueJobs) > 0 || h.Datasources[string(domain.DatasourceWarning)] > 0:
		return "warning"
	default:
		return healthOK
	}
}
