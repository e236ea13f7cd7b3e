package client

import (
	"context"
	"net/http"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Health is how the platform and what it reaches are.
type Health struct {
	Status           string         `json:"status"`
	CheckedAt        *time.Time     `json:"checked_at"`
	Stale            bool           `json:"stale"`
	Datasources      map[string]int `json:"datasources"`
	StorageLocations map[string]int `json:"storage_locations"`
	Pools            []struct {
		Pool    string `json:"pool"`
		Served  bool   `json:"served"`
		Message string `json:"message"`
	} `json:"pools"`
	PausedSchedules []string `json:"paused_schedules"`
	OverdueJobs     []struct {
		ID           string     `json:"id"`
		Name         string     `json:"name"`
		LastBackupAt *time.Time `json:"last_backup_at"`
		OverdueSince time.Time  `json:"overdue_since"`
	} `json:"overdue_jobs"`
}

// HealthCheck is one check of a datasource.
type HealthCheck struct {
	Status    domain.HealthCheckStatus `json:"status"`
	LatencyMS *int64                   `json:"latency_ms"`
	Message   string                   `json:"message"`
	CheckedAt time.Time                `json:"checked_at"`
}

// Health tells how the platform and what it reaches are, as the last checks found it.
func (c *Client) Health(ctx context.Context) (Health, error) {
	var out Health
	err := c.call(ctx, http.MethodGet, "/api/health", nil, nil, &out)
	return out, err
}

// DatasourceChecks lists the newest checks of a datasource.
func (c *Client) DatasourceChecks(ctx context.Context, id string) ([]HealthCheck, error) {
	var out struct {
		Items []HealthCheck `json:"items"`
	}
	err := c.call(ctx, http.MethodGet, "/api/health/datasources/"+id, nil, nil, &out)
	return out.Items, err
}
