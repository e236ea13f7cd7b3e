package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// BackupPart says what of a backup is downloaded, and from where.
type BackupPart struct {
	Stream            string // one of a backup of several; "" is the only one, or a tar of all
	StorageLocationID string // read the copy there and no other; "" is the first good one
}

// DownloadBackup opens the plain dump of a backup. header may hold a Range. The caller closes the body; one that
// breaks off ends in another error than io.EOF.
func (c *Client) DownloadBackup(ctx context.Context, executionID string, part BackupPart, header http.Header) (*http.Response, error) {
	query := url.Values{}
	if part.Stream != "" {
		query.Set("stream", part.Stream)
	}
	if part.StorageLocationID != "" {
		query.Set("storage_location_id", part.StorageLocationID)
	}
	return c.send(ctx, http.MethodGet, "/api/backups/"+url.PathEscape(executionID)+"/download", query, nil, header)
}

// BackupFiles lists a whole folder of a files backup, "" for its root.
func (c *Client) BackupFiles(ctx context.Context, executionID, folder string) ([]domain.BackedUpFile, error) {
	return collect[domain.BackedUpFile](ctx, c, "/api/backups/"+url.PathEscape(executionID)+"/files", url.Values{"path": {folder}})
}
