package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Schema asks what a datasource holds. database chooses one of a datasource that has every database of its
// server; "" is the datasource's own.
func (c *Client) Schema(ctx context.Context, datasourceID, database string) (domain.Schema, error) {
	var out domain.Schema
	query := url.Values{}
	if database != "" {
		query.Set("database", database)
	}
	err := c.call(ctx, http.MethodGet, c.Datasources.at(datasourceID)+"/schema", query, nil, &out)
	return out, err
}

// QueryRequest is a statement that reads; Database as for Schema.
type QueryRequest struct {
	Statement string `json:"statement"`
	Database  string `json:"database,omitempty"`
}

// Query reads from a datasource with SQL.
func (c *Client) Query(ctx context.Context, datasourceID string, request QueryRequest) (domain.QueryResult, error) {
	var out domain.QueryResult
	err := c.call(ctx, http.MethodPost, c.Datasources.at(datasourceID)+"/query", nil, request, &out)
	return out, err
}
