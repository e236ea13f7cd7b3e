package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// DatasourceHealth is how a datasource was at its last check.
type DatasourceHealth struct {
	ID         string                  `json:"id" format:"uuid"`
	Name       string                  `json:"name"`
	Type       domain.DatasourceType   `json:"type"`
	Enabled    bool                    `json:"enabled" doc:"Only enabled ones are checked"`
	Pool       string                  `json:"pool"`
	PoolServed bool                    `json:"pool_served" doc:"false: no worker took the last check of its pool, so the status is an old one"`
	Status     domain.DatasourceStatus `json:"status" enum:"healthy,warning,critical,unknown"`
	Failures   int                     `json:"failures" doc:"Failed checks in a row"`
	LastCheck  *DatasourceCheck        `json:"last_check"`
}

// DatasourceCheck is one check of a datasource.
type DatasourceCheck struct {
	Status        domain.HealthCheckStatus `json:"status" enum:"ok,timeout,auth_failed,unreachable,error"`
	LatencyMS     *int64                   `json:"latency_ms"`
	ServerVersion string                   `json:"server_version,omitempty"`
	Message       string                   `json:"message,omitempty"`
	CheckedAt     time.Time                `json:"checked_at"`
}

// StorageHealth is how a storage location was at its last check, and how it fills.
type StorageHealth struct {
	ID            string                       `json:"id" format:"uuid"`
	Name          string                       `json:"name"`
	Type          domain.StorageLocationType   `json:"type"`
	Enabled       bool                         `json:"enabled" doc:"Only enabled ones are checked"`
	Pool          string                       `json:"pool"`
	PoolServed    bool                         `json:"pool_served"`
	Status        domain.StorageLocationStatus `json:"status" enum:"healthy,full,unreachable"`
	Failures      int                          `json:"failures" doc:"Checks in a row that could not reach it"`
	LastCheck     *StorageCheck                `json:"last_check"`
	BytesPerDay   *float64                     `json:"bytes_per_day" doc:"By how much its use grows (negative: shrinks), over the last thirty days; null with less than a day of history"`
	DaysUntilFull *float64                     `json:"days_until_full" doc:"If it goes on like that; null when it does not grow or what is free is unknown"`
}

// StorageCheck is one check of a storage location.
type StorageCheck struct {
	Status           domain.HealthCheckStatus     `json:"status" enum:"ok,timeout,auth_failed,unreachable,error"`
	LocationStatus   domain.StorageLocationStatus `json:"location_status" enum:"healthy,full,unreachable"`
	LatencyMS        *int64                       `json:"latency_ms"`
	UsedBytes        *int64                       `json:"used_bytes" doc:"null unknown"`
	AvailableSpaceGB *float64                     `json:"available_space_gb" doc:"In units of 10^9 bytes; null unknown"`
	Message          string                       `json:"message,omitempty"`
	CheckedAt        time.Time                    `json:"checked_at"`
}

// checksInput asks for a page of the checks of one thing.
type checksInput struct {
	ByID
	Paging
}

func (s *server) listDatasourceHealth(ctx context.Context, in *Paging) (*body[page[DatasourceHealth]], error) {
	rows, next, err := s.db.ListDatasourceHealth(ctx, in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, func(d db.CheckedDatasource) DatasourceHealth {
		out := DatasourceHealth{
			ID: d.ID, Name: d.Name, Type: d.Type, Enabled: d.Enabled, Pool: d.Pool, PoolServed: d.PoolServed, Status: d.Status, Failures: d.Failures,
		}
		if d.Last != nil {
			viewed := viewDatasourceCheck(*d.Last)
			out.LastCheck = &viewed
		}
		return out
	}), nil
}

func (s *server) listDatasourceChecks(ctx context.Context, in *checksInput) (*body[page[DatasourceCheck]], error) {
	rows, next, err := s.db.ListHealthChecks(ctx, in.ID, in.page())
	if err := parentSeen(ctx, len(rows), func() error { _, err := s.db.GetDatasource(ctx, in.ID); return err }); err != nil {
		return nil, missing(err, "datasource", in.ID)
	}
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewDatasourceCheck), nil
}

func viewDatasourceCheck(c db.HealthCheck) DatasourceCheck {
	return DatasourceCheck{Status: c.Status, LatencyMS: c.LatencyMS, ServerVersion: c.ServerVersion, Message: c.ErrorMessage, CheckedAt: c.CheckedAt}
}

func (s *server) listStorageHealth(ctx context.Context, in *Paging) (*body[page[StorageHealth]], error) {
	rows, next, err := s.db.ListStorageHealth(ctx, in.page())
	if err != nil {
		return nil, err
	}
	trends, err := s.db.StorageTrends(ctx, idsOf(rows, func(l db.CheckedStorage) string { return l.ID }))
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, func(l db.CheckedStorage) StorageHealth {
		out := StorageHealth{
			ID: l.ID, Name: l.Name, Type: l.Type, Enabled: l.Enabled, Pool: l.Pool, PoolServed: l.PoolServed, Status: l.Status, Failures: l.Failures,
		}
		if l.Last != nil {
			viewed := viewStorageCheck(*l.Last)
			out.LastCheck = &viewed
		}
		if perSecond, found := trends[l.ID]; found {
			out.BytesPerDay, out.DaysUntilFull = untilFull(perSecond, l.AvailableSpaceGB)
		}
		return out
	}), nil
}

// untilFull is the trend in bytes a day, and the days that what is free lasts; nil when it does not shrink.
func untilFull(bytesPerSecond float64, availableGB *float64) (perDay, days *float64) {
	day := bytesPerSecond * (24 * time.Hour).Seconds()
	if availableGB == nil || day < 1 {
		return &day, nil
	}
	left := *availableGB * 1e9 / day
	return &day, &left
}

func (s *server) listStorageChecks(ctx context.Context, in *checksInput) (*body[page[StorageCheck]], error) {
	rows, next, err := s.db.ListStorageHealthChecks(ctx, in.ID, in.page())
	if err := parentSeen(ctx, len(rows), func() error { _, err := s.db.GetStorageLocation(ctx, in.ID); return err }); err != nil {
		return nil, missing(err, "storage location", in.ID)
	}
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewStorageCheck), nil
}

func viewStorageCheck(c db.StorageHealthCheck) StorageCheck {
	return StorageCheck{
		Status: c.Status, LocationStatus: c.LocationStatus, LatencyMS: c.LatencyMS, UsedBytes: c.UsedBytes,
		AvailableSpaceGB: c.AvailableSpaceGB, Message: c.ErrorMessage, CheckedAt: c.CheckedAt,
	}
}

func viewPools(states map[string]db.CheckedState) []PoolHealth {
	var out []PoolHealth
	for pool, state := range states {
		p := PoolHealth{Pool: pool, Served: state.Failures == 0, CheckedAt: state.CheckedAt}
		if !p.Served {
			p.Message = "No worker serves pool " + pool + ". Start one with: dataguardian worker --pools " + pool
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b PoolHealth) int { return cmp.Compare(a.Pool, b.Pool) })
	return out
}

func idsOf[R any](rows []R, id func(R) string) []string {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = id(row)
	}
	return ids
}
