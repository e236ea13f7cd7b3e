// Package migrations embeds the schema of the metadata database as goose migrations, so that a
// binary always carries the schema it was written for.
package migrations

import "embed"

// Files holds NNNNN_name.sql, each with its way up and its way down.
//
//go:embed *.sql
var Files embed.FS
