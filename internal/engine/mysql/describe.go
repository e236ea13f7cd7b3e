package mysql

import (
	"context"
	"strconv"
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
)

var (
	_ engine.Describer      = (*Engine)(nil)
	_ engine.Querier        = (*Engine)(nil)
	_ engine.Executor       = (*Engine)(nil)
	_ engine.DatabaseLister = (*Engine)(nil)
)

// Schema lists the tables and views of the datasource's database, or of all of the server's, with their columns.
// Rows and bytes are the server's estimates.
func (e *Engine) Schema(ctx context.Context, src engine.Source) (domain.Schema, error) {
	s, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return domain.Schema{}, err
	}
	defer s.close()
	schema := domain.Schema{Objects: []domain.SchemaObject{}}
	if schema.Databases, err = s.databases(ctx); err != nil {
		return domain.Schema{}, err
	}
	chosen := schema.Databases
	if src.Config.Database != "" {
		chosen = []string{src.Config.Database}
	}
	columns := 0
	for _, database := range chosen {
		if schema.Truncated, err = s.describe(ctx, database, &schema, &columns); err != nil || schema.Truncated {
			return schema, err
		}
	}
	return schema, nil
}

// describe adds one database, as far as the bounds allow, and reports whether they do not.
func (s *session) describe(ctx context.Context, database string, schema *domain.Schema, columns *int) (truncated bool, err error) {
	room := domain.MaxSchemaObjects - len(schema.Objects)
	tables, err := s.queryRows(ctx, `select table_name, table_type, coalesce(table_rows, -1), coalesce(data_length + index_length, -1)
		from information_schema.tables where table_schema = ? and table_name <> ? order by table_name limit `+strconv.Itoa(room+1), database, markTable)
	if err != nil {
		return false, classify("list the tables", err)
	}
	if len(tables) > room {
		tables, truncated = tables[:room], true
	}
	at := map[string]int{}
	for _, t := range tables {
		object := domain.SchemaObject{Database: database, Name: t[0], Kind: kindOf(t[1]), Rows: -1, Bytes: -1}
		if object.Kind == "table" {
			object.Rows, object.Bytes = number(t[2]), number(t[3])
		}
		at[t[0]] = len(schema.Objects)
		schema.Objects = append(schema.Objects, object)
	}
	left := domain.MaxSchemaColumns - *columns
	rows, err := s.queryRows(ctx, `select table_name, column_name, column_type, is_nullable from information_schema.columns
		where table_schema = ? and table_name <> ? order by table_name, ordinal_position limit `+strconv.Itoa(left+1), database, markTable)
	if err != nil {
		return false, classify("list the columns", err)
	}
	if len(rows) > left {
		rows, truncated = rows[:left], true
	}
	for _, c := range rows {
		if i, listed := at[c[0]]; listed {
			schema.Objects[i].Columns = append(schema.Objects[i].Columns, domain.SchemaColumn{Name: c[1], Type: c[2], Nullable: c[3] == "YES"})
			*columns++
		}
	}
	return truncated, nil
}

func kindOf(tableType string) string {
	switch tableType {
	case "BASE TABLE", "SYSTEM VERSIONED":
		return "table"
	case "VIEW", "SYSTEM VIEW":
		return "view"
	}
	return strings.ToLower(tableType) // sequence
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return -1
	}
	return n
}
