package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
)

// ofProviders are databases that hosted servers keep for themselves.
var ofProviders = []string{"rdsadmin", "cloudsqladmin", "azure_maintenance", "azure_sys", "alloydbadmin"}

// Databases lists the databases of the server that take connections and are no templates; postgres only if
// somebody keeps data there. One that the user may not connect to is listed all the same: a backup of every
// database must fail rather than leave one out unnoticed.
func (e *Engine) Databases(ctx context.Context, src engine.Source) ([]string, error) {
	server, err := maintenance(ctx, src, "")
	if err != nil {
		return nil, err
	}
	defer server.close()
	names, err := databaseNames(ctx, server.Conn, "true")
	if err != nil {
		return nil, classify("list the databases", err)
	}
	return slices.DeleteFunc(names, func(name string) bool {
		if name == "postgres" {
			empty, err := server.isEmpty(ctx, name)
			return err == nil && empty
		}
		return slices.Contains(ofProviders, name)
	}), nil
}

func databaseNames(ctx context.Context, conn *pgx.Conn, condition string) ([]string, error) {
	rows, err := conn.Query(ctx, "select datname::text from pg_database where datallowconn and not datistemplate and "+condition+` order by datname::text collate "C"`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Schema lists the tables, views and foreign tables of the datasource's database. A partitioned table stands for
// its partitions: its rows and bytes are theirs together.
func (e *Engine) Schema(ctx context.Context, src engine.Source) (domain.Schema, error) {
	schema := domain.Schema{Objects: []domain.SchemaObject{}}
	ctx, cancel := context.WithTimeout(ctx, e.queryTimeout+goodbye)
	defer cancel()
	err := e.reading(ctx, src, func(conn *pgx.Conn) (err error) {
		if schema.Databases, err = databaseNames(ctx, conn, "has_database_privilege(oid, 'CONNECT')"); err != nil {
			return err
		}
		rows, err := conn.Query(ctx, "select extname || ' ' || extversion from pg_extension order by 1")
		if err != nil {
			return err
		}
		if schema.Extensions, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return err
		}
		oids, err := listRelations(ctx, conn, &schema, src.Config.Database)
		if err != nil {
			return err
		}
		return listColumns(ctx, conn, &schema, oids)
	})
	return schema, classify("read the schema of database "+quoted(src.Config.Database), err)
}

// relations are what people made, and not what extensions did. A partition is part of its table.
const relations = `
	with recursive listed as (
		select c.oid, nspname, relname, relkind from pg_class c join pg_namespace n on n.oid = relnamespace
		where relkind in ('r', 'p', 'v', 'm', 'f') and not relispartition
			and nspname !~ '^pg_' and nspname <> 'information_schema' and %s
		order by nspname collate "C", relname collate "C" limit $1
	), parts as (
		select oid as root, oid from listed
		union all
		select root, inhrelid from parts join pg_inherits on inhparent = parts.oid join pg_class child on child.oid = inhrelid where child.relispartition
	), sums as (
		select root, sum(case when c.relkind = 'p' then 0 else greatest(reltuples, -1)::bigint end) as rows, min(case when c.relkind = 'p' then 0 else reltuples end) as least,
			sum(pg_total_relation_size(c.oid)) as bytes
		from parts join pg_class c on c.oid = parts.oid group by root
	)
	select l.oid, nspname::text, relname::text,
		case relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view' when 'm' then 'materialized view' else 'foreign table' end,
		case when relkind = 'v' or least < 0 then -1 else rows end::bigint,
		case when relkind in ('v', 'f') then -1 else coalesce(bytes, -1) end::bigint
	from listed l join sums on root = l.oid
	order by nspname collate "C", relname collate "C"`

// listRelations returns the ids of the objects it listed, in their order.
func listRelations(ctx context.Context, conn *pgx.Conn, schema *domain.Schema, database string) (oids []uint32, err error) {
	rows, err := conn.Query(ctx, fmt.Sprintf(relations, notOfExtension("pg_class", "c.oid")), domain.MaxSchemaObjects+1)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		if len(oids) == domain.MaxSchemaObjects {
			schema.Truncated = true
			break
		}
		object := domain.SchemaObject{Database: database}
		var oid uint32
		if err := rows.Scan(&oid, &object.Schema, &object.Name, &object.Kind, &object.Rows, &object.Bytes); err != nil {
			return nil, err
		}
		schema.Objects, oids = append(schema.Objects, object), append(oids, oid)
	}
	rows.Close()
	return oids, rows.Err()
}

func listColumns(ctx context.Context, conn *pgx.Conn, schema *domain.Schema, oids []uint32) error {
	at := make(map[uint32]*domain.SchemaObject, len(oids))
	for i, oid := range oids {
		at[oid] = &schema.Objects[i]
	}
	rows, err := conn.Query(ctx, `select attrelid, attname::text, format_type(atttypid, atttypmod), not attnotnull
		from unnest($1::oid[]) with ordinality as t(oid, n) join pg_attribute on attrelid = t.oid
		where attnum > 0 and not attisdropped order by n, attnum limit $2`, oids, domain.MaxSchemaColumns+1)
	if err != nil {
		return err
	}
	defer rows.Close()
	for count := 0; rows.Next(); count++ {
		if count == domain.MaxSchemaColumns {
			schema.Truncated = true
			break
		}
		var oid uint32
		var column domain.SchemaColumn
		if err := rows.Scan(&oid, &column.Name, &column.Type, &column.Nullable); err != nil {
			return err
		}
		at[oid].Columns = append(at[oid].Columns, column)
	}
	rows.Close()
	return rows.Err()
}
