package domain

import "time"

// The bounds of what is told about a datasource.
const (
	MaxSchemaObjects = 2000             // tables, collections or files
	MaxSchemaColumns = 20_000           // columns of them together
	MaxQueryRows     = 1000             // rows of a query's answer
	MaxQueryBytes    = 8 << 20          // about as many bytes of values in it
	QueryTimeout     = 30 * time.Second // for one statement
)

// Schema is what a datasource holds.
type Schema struct {
	Databases  []string       `json:"databases,omitempty" doc:"Of the server, as far as the user may see them"`
	Extensions []string       `json:"extensions,omitempty" doc:"postgres: name and version of each"`
	Objects    []SchemaObject `json:"objects" nullable:"false"`
	Truncated  bool           `json:"truncated" doc:"There is more than is listed"`
}

// SchemaObject is a table, a view, a collection or a file.
type SchemaObject struct {
	Database string         `json:"database,omitempty"`
	Schema   string         `json:"schema,omitempty"`
	Name     string         `json:"name"`
	Kind     string         `json:"kind" doc:"table, partitioned table, view, materialized view, foreign table, collection, file, directory, symlink, other"`
	Rows     int64          `json:"rows" doc:"Estimated; -1 unknown"`
	Bytes    int64          `json:"bytes" doc:"On the server's disk, indexes included where it tells; -1 unknown"`
	Columns  []SchemaColumn `json:"columns,omitempty"`
}

// SchemaColumn is a column of a table.
type SchemaColumn struct {
	Name     string `json:"name"`
	Type     string `json:"type" doc:"In the server's own words"`
	Nullable bool   `json:"nullable"`
}

// QueryResult is the answer of a statement. A value is what JSON has for it: numbers that fit it
// exactly, booleans, null, and text for everything else; binary data as text in base64.
type QueryResult struct {
	Columns    []SchemaColumn `json:"columns" nullable:"false"`
	Rows       [][]any        `json:"rows" nullable:"false"`
	Truncated  bool           `json:"truncated" doc:"There are more rows than are given"`
	DurationMS int64          `json:"duration_ms"`
}
