package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Resource is a kind of thing with the usual calls. Doc is what is written, View what is shown.
type Resource[Doc, View any] struct {
	client *Client
	path   string
}

// Create makes one.
func (r Resource[Doc, View]) Create(ctx context.Context, document Doc) (View, error) {
	var out View
	err := r.client.call(ctx, http.MethodPost, r.path, nil, document, &out)
	return out, err
}

// Get reads one.
func (r Resource[Doc, View]) Get(ctx context.Context, id string) (View, error) {
	var out View
	err := r.client.call(ctx, http.MethodGet, r.at(id), nil, nil, &out)
	return out, err
}

// List reads all of them, newest first.
func (r Resource[Doc, View]) List(ctx context.Context) ([]View, error) {
	return collect[View](ctx, r.client, r.path, nil)
}

// Update changes the fields that patch names and returns the result.
func (r Resource[Doc, View]) Update(ctx context.Context, id string, patch map[string]any) (View, error) {
	var out View
	err := r.client.call(ctx, http.MethodPatch, r.at(id), nil, patch, &out)
	return out, err
}

// Delete removes one.
func (r Resource[Doc, View]) Delete(ctx context.Context, id string) error {
	return r.client.call(ctx, http.MethodDelete, r.at(id), nil, nil, nil)
}

func (r Resource[Doc, View]) at(id string) string { return r.path + "/" + url.PathEscape(id) }

// page is one page of a list.
type page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor"`
}

// collect reads every page of a list.
func collect[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", "200")
	var all []T
	for {
		var part page[T]
		if err := c.call(ctx, http.MethodGet, path, query, nil, &part); err != nil {
			return nil, err
		}
		all = append(all, part.Items...)
		if part.NextCursor == "" {
			return all, nil
		}
		if part.NextCursor == query.Get("cursor") {
			return nil, fmt.Errorf("GET %s: the server gives the same page again", path)
		}
		query.Set("cursor", part.NextCursor)
	}
}

// SetupNeeded reports whether the installation has no owner yet.
func (c *Client) SetupNeeded(ctx context.Context) (bool, error) {
	var out struct {
		SetupNeeded bool `json:"setup_needed"`
	}
	err := c.call(ctx, http.MethodGet, "/api/auth/status", nil, nil, &out)
	return out.SetupNeeded, err
}

// Setup creates the owner and uses the new session from here on.
func (c *Client) Setup(ctx context.Context, email, name, password string) (Session, error) {
	return c.open(ctx, "/api/auth/setup", map[string]string{"email": email, "name": name, "password": password})
}

// Login signs in and uses the new session from here on.
func (c *Client) Login(ctx context.Context, email, password string) (Session, error) {
	return c.open(ctx, "/api/auth/login", map[string]string{"email": email, "password": password})
}

func (c *Client) open(ctx context.Context, path string, body map[string]string) (Session, error) {
	var session Session
	if err := c.call(ctx, http.MethodPost, path, nil, body, &session); err != nil {
		return Session{}, err
	}
	c.SetToken(session.Token)
	return session, nil
}

// Logout ends the session.
func (c *Client) Logout(ctx context.Context) error {
	if err := c.call(ctx, http.MethodPost, "/api/auth/logout", nil, nil, nil); err != nil {
		return err
	}
	c.SetToken("")
	return nil
}

// Me is who the session belongs to.
func (c *Client) Me(ctx context.Context) (User, error) {
	var out User
	err := c.call(ctx, http.MethodGet, "/api/auth/me", nil, nil, &out)
	return out, err
}

// TestDatasource connects to a datasource now. A failed test is a result, not an error.
func (c *Client) TestDatasource(ctx context.Context, id string) (CheckResult, error) {
	var out CheckResult
	err := c.call(ctx, http.MethodPost, c.Datasources.at(id)+"/test", nil, nil, &out)
	return out, err
}

// TestStorageLocation writes and reads a probe on a storage location now.
func (c *Client) TestStorageLocation(ctx context.Context, id string) (CheckResult, error) {
	var out CheckResult
	err := c.call(ctx, http.MethodPost, c.StorageLocations.at(id)+"/test", nil, nil, &out)
	return out, err
}

// TestBackupJob tests both ends of a job now.
func (c *Client) TestBackupJob(ctx context.Context, id string) (JobCheckResult, error) {
	var out JobCheckResult
	err := c.call(ctx, http.MethodPost, c.BackupJobs.at(id)+"/test", nil, nil, &out)
	return out, err
}

// RunJob starts a backup. options override the job's for this run; nil for none.
func (c *Client) RunJob(ctx context.Context, id string, options *domain.BackupOptions) (Execution, error) {
	body := map[string]any{}
	if options != nil {
		body["backup_options"] = options
	}
	var out Execution
	err := c.call(ctx, http.MethodPost, c.BackupJobs.at(id)+"/run", nil, body, &out)
	return out, err
}

// Backups lists the restorable backups of a datasource, newest first.
func (c *Client) Backups(ctx context.Context, datasourceID string) ([]Backup, error) {
	return collect[Backup](ctx, c, "/api/backups/datasources/"+url.PathEscape(datasourceID), nil)
}

// Restore starts the restore of a backup.
func (c *Client) Restore(ctx context.Context, executionID string, request RestoreRequest) (Execution, error) {
	var out Execution
	err := c.call(ctx, http.MethodPost, "/api/backups/"+url.PathEscape(executionID)+"/restore", nil, request, &out)
	return out, err
}
