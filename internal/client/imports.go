package client

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// pollImport is how often WaitImport asks.
const pollImport = 200 * time.Millisecond

// ImportIdentity imports the text of an age identity file.
func (c *Client) ImportIdentity(ctx context.Context, identity, name string) error {
	return c.call(ctx, http.MethodPost, "/api/system/identities", nil, map[string]any{"identity": identity, "name": name}, nil)
}

// AddRecipient lets one more key open new backups.
func (c *Client) AddRecipient(ctx context.Context, recipient, name string) error {
	return c.call(ctx, http.MethodPost, "/api/system/recipients", nil, map[string]any{"recipient": recipient, "name": name}, nil)
}

// ImportStorage puts the backups of a storage location back into the catalogue, and waits for the end.
func (c *Client) ImportStorage(ctx context.Context, storageLocationID string, dryRun bool) (ImportCounts, error) {
	path := c.StorageLocations.at(storageLocationID) + "/import"
	if err := c.call(ctx, http.MethodPost, path, nil, map[string]any{"dry_run": dryRun}, nil); err != nil {
		return ImportCounts{}, err
	}
	ticker := time.NewTicker(pollImport)
	defer ticker.Stop()
	for {
		var state ImportState
		if err := c.call(ctx, http.MethodGet, path, nil, nil, &state); err != nil {
			return ImportCounts{}, err
		}
		switch {
		case state.Status == "completed" && state.Result != nil:
			return *state.Result, nil
		case state.Status == "failed":
			return ImportCounts{}, fmt.Errorf("the import failed: %s", state.Message)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ImportCounts{}, ctx.Err()
		}
	}
}
