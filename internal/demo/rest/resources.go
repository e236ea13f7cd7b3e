package rest

import (
	"context"
	"net/http"
	"net/url"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Datasource is a datasource as it is written.
type Datasource struct {
	Name             string                  `json:"name"`
	Type             domain.DatasourceType   `json:"type,omitempty"`
	Pool             string                  `json:"pool,omitempty"`
	ConnectionConfig domain.ConnectionConfig `json:"connection_config"`
}

// StorageLocation is a storage location as it is written.
type StorageLocation struct {
	Name   string                     `json:"name"`
	Type   domain.StorageLocationType `json:"type,omitempty"`
	Pool   string                     `json:"pool,omitempty"`
	Config domain.StorageConfig       `json:"config"`
}

// BackupJob is a backup job as it is written.
type BackupJob struct {
	Name              string               `json:"name"`
	DatasourceID      string               `json:"datasource_id"`
	StorageLocationID string               `json:"storage_location_id"`
	BackupOptions     domain.BackupOptions `json:"backup_options"`
}

// EnsureDatasource makes a datasource, or brings the one with its name in line. It returns the id.
func (c *Client) EnsureDatasource(ctx context.Context, d Datasource) (string, error) {
	return c.ensure(ctx, "/api/datasources", d.Name, d)
}

// EnsureStorageLocation makes a storage location, or brings the one with its name in line. It
// returns the id.
func (c *Client) EnsureStorageLocation(ctx context.Context, s StorageLocation) (string, error) {
	return c.ensure(ctx, "/api/storage-locations", s.Name, s)
}

// EnsureBackupJob makes a job, or brings the one with its name in line. It returns the id.
func (c *Client) EnsureBackupJob(ctx context.Context, j BackupJob) (string, error) {
	return c.ensure(ctx, "/api/backup-jobs", j.Name, j)
}

type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// ensure patches the resource of the list at path that has the name, or creates it.
func (c *Client) ensure(ctx context.Context, path, name string, document any) (string, error) {
	for cursor := ""; ; {
		var page struct {
			Items      []named `json:"items"`
			NextCursor string  `json:"next_cursor"`
		}
		query := url.Values{"limit": {"200"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		if err := c.do(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return "", err
		}
		for _, item := range page.Items {
			if item.Name == name {
				return item.ID, c.do(ctx, http.MethodPatch, path+"/"+item.ID, document, nil)
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	var created named
	err := c.do(ctx, http.MethodPost, path, document, &created)
	return created.ID, err
}

// Check is the outcome of a connection test.
type Check struct {
	Status        domain.HealthCheckStatus `json:"status"`
	LatencyMS     int64                    `json:"latency_ms"`
	ServerVersion string                   `json:"server_version"`
	Message       string                   `json:"message"`
	Hint          string                   `json:"hint"`
}

// TestDatasource has a worker connect to a datasource.
func (c *Client) TestDatasource(ctx context.Context, id string) (Check, error) {
	var check Check
	err := c.do(ctx, http.MethodPost, "/api/datasources/"+id+"/test", nil, &check)
	return check, err
}

// TestStorageLocation has a worker write, read and delete a probe.
func (c *Client) TestStorageLocation(ctx context.Context, id string) (Check, error) {
	var check Check
	err := c.do(ctx, http.MethodPost, "/api/storage-locations/"+id+"/test", nil, &check)
	return check, err
}
