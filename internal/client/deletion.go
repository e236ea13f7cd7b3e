package client

import (
	"context"
	"net/http"
)

// Removed counts files.
type Removed struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// ReconcileReport is what a comparison of a storage location with the catalogue found.
type ReconcileReport struct {
	DryRun              bool     `json:"dry_run"`
	Objects             int64    `json:"objects"`
	Bytes               int64    `json:"bytes"`
	Manifests           int64    `json:"manifests"`
	Deletions           int64    `json:"deletions"`
	DeletionsFailed     int64    `json:"deletions_failed"`
	Orphans             Removed  `json:"orphans"`
	Leftovers           Removed  `json:"leftovers"`
	UnknownBackups      int64    `json:"unknown_backups"`
	UnreadableManifests []string `json:"unreadable_manifests"`
	More                bool     `json:"more"`
}

// DeleteExecution asks for the deletion of an execution with its data; it is gone when GetExecution
// answers 404.
func (c *Client) DeleteExecution(ctx context.Context, id string) (Execution, error) {
	var out Execution
	err := c.call(ctx, http.MethodDelete, executionPath(id), nil, nil, &out)
	return out, err
}

// Pin protects a backup from deletion, or no longer.
func (c *Client) Pin(ctx context.Context, id string, pinned bool) (Execution, error) {
	var out Execution
	err := c.call(ctx, http.MethodPost, executionPath(id)+"/pin", nil, map[string]bool{"pinned": pinned}, &out)
	return out, err
}

// ReconcileStorage compares a storage location with the catalogue and, unless it is a dry run, removes
// what nothing needs.
func (c *Client) ReconcileStorage(ctx context.Context, id string, dryRun bool) (ReconcileReport, error) {
	var out ReconcileReport
	err := c.call(ctx, http.MethodPost, c.StorageLocations.at(id)+"/reconcile", nil, map[string]bool{"dry_run": dryRun}, &out)
	return out, err
}
