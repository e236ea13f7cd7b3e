package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// StoredFile is a file or a folder of a storage location.
type StoredFile struct {
	Name       string     `json:"name"`
	Path       string     `json:"path"`
	Type       string     `json:"type"` // file, folder
	Size       *int64     `json:"size"` // nil for a folder
	ModifiedAt *time.Time `json:"modified_at"`
}

// FileChange is what became of a copy or a deletion.
type FileChange struct {
	Status      string `json:"status"` // completed; running when it goes on
	Objects     int64  `json:"objects"`
	Bytes       int64  `json:"bytes"`
	WorkflowID  string `json:"workflow_id"`
	TemporalURL string `json:"temporal_url"`
}

// StorageUsage is what a storage location holds and has left; nil is unknown.
type StorageUsage struct {
	UsedBytes      *int64 `json:"used_bytes"`
	AvailableBytes *int64 `json:"available_bytes"`
	CapacityBytes  *int64 `json:"capacity_bytes"`
	Datasources    []struct {
		DatasourceID string `json:"datasource_id"`
		Name         string `json:"name"`
		Backups      int64  `json:"backups"`
		Bytes        int64  `json:"bytes"`
	} `json:"datasources"`
}

// StorageDraft is a storage location that is not saved.
type StorageDraft struct {
	Type              domain.StorageLocationType `json:"type"`
	Pool              string                     `json:"pool,omitempty"`
	Config            domain.StorageConfig       `json:"config"`
	StorageLocationID string                     `json:"storage_location_id,omitempty"`
}

func filesOf(storageID string) string {
	return "/api/storage-locations/" + url.PathEscape(storageID) + "/files"
}

// ListFiles lists a whole folder of a storage location, "" for its root.
func (c *Client) ListFiles(ctx context.Context, storageID, folder string) ([]StoredFile, error) {
	return collect[StoredFile](ctx, c, filesOf(storageID), url.Values{"path": {folder}})
}

// Download opens a file of a storage location, or a folder as a zip. header may hold a Range. The
// caller closes the body; one that breaks off ends in another error than io.EOF.
func (c *Client) Download(ctx context.Context, storageID, at string, header http.Header) (*http.Response, error) {
	return c.send(ctx, http.MethodGet, filesOf(storageID)+"/download", url.Values{"path": {at}}, nil, header)
}

// CopyFile copies a file within its storage location.
func (c *Client) CopyFile(ctx context.Context, storageID, from, to string, overwrite bool) (FileChange, error) {
	var out FileChange
	in := map[string]any{"from": from, "to": to, "overwrite": overwrite}
	err := c.call(ctx, http.MethodPost, filesOf(storageID)+"/copy", nil, in, &out)
	return out, err
}

// DeleteFiles deletes a file, or a folder with all that is in it.
func (c *Client) DeleteFiles(ctx context.Context, storageID, at string) (FileChange, error) {
	var out FileChange
	err := c.call(ctx, http.MethodDelete, filesOf(storageID), url.Values{"path": {at}}, nil, &out)
	return out, err
}

// StorageUsage asks a storage location what it holds and has left.
func (c *Client) StorageUsage(ctx context.Context, storageID string) (StorageUsage, error) {
	var out StorageUsage
	err := c.call(ctx, http.MethodGet, "/api/storage-locations/"+url.PathEscape(storageID)+"/usage", nil, nil, &out)
	return out, err
}

// TestStorageDraft tests a storage location that is not saved.
func (c *Client) TestStorageDraft(ctx context.Context, draft StorageDraft) (CheckResult, error) {
	var out CheckResult
	err := c.call(ctx, http.MethodPost, "/api/storage-locations/test", nil, draft, &out)
	return out, err
}
