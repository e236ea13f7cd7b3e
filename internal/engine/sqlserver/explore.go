package sqlserver

import (
	"context"
	"slices"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
)

// Databases lists the databases of the server that hold people's data, as far as the login may open
// them. Those that are offline or being restored are left out; snapshots are, too.
func (e *Engine) Databases(ctx context.Context, src engine.Source) ([]string, error) {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return nil, err
	}
	defer conn.close()
	return conn.databases(ctx)
}

func (s *session) databases(ctx context.Context) ([]string, error) {
	rows, err := s.table(ctx, "list the databases", `SELECT name FROM sys.databases
		WHERE source_database_id IS NULL AND state_desc NOT IN (N'OFFLINE', N'RESTORING') AND HAS_DBACCESS(name) = 1`)
	names := make([]string, 0, len(rows))
	for _, row := range rows {
		if name := row.text("name"); !slices.Contains(reserved, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, err
}

// Schema lists the tables and views of the datasource's database.
func (e *Engine) Schema(ctx context.Context, src engine.Source) (domain.Schema, error) {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return domain.Schema{}, err
	}
	defer conn.close()
	schema := domain.Schema{Objects: []domain.SchemaObject{}}
	if schema.Databases, err = conn.databases(ctx); err != nil || src.Config.Database == "" {
		return schema, err
	}
	index, err := conn.objects(ctx, src.Config.Database, &schema)
	if err != nil {
		return schema, err
	}
	return schema, conn.columns(ctx, index, &schema)
}

// objects lists tables and views, and where each is in the list by its number on the server.
func (s *session) objects(ctx context.Context, database string, schema *domain.Schema) (map[int64]int, error) {
	rows, err := s.QueryContext(ctx, `SELECT TOP (@p1) CONVERT(bigint, o.object_id), SCHEMA_NAME(o.schema_id), o.name, CASE WHEN o.type = 'V' THEN N'view' ELSE N'table' END,
			CONVERT(bigint, ISNULL((SELECT SUM(p.rows) FROM sys.partitions AS p WHERE p.object_id = o.object_id AND p.index_id IN (0, 1)), -1)),
			CONVERT(bigint, ISNULL((SELECT SUM(a.total_pages) * 8192 FROM sys.partitions AS p JOIN sys.allocation_units AS a ON a.container_id = p.partition_id
				WHERE p.object_id = o.object_id), -1))
		FROM sys.objects AS o WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 ORDER BY SCHEMA_NAME(o.schema_id), o.name`, domain.MaxSchemaObjects+1)
	if err != nil {
		return nil, classify("list the tables", err)
	}
	defer func() { _ = rows.Close() }()
	index := map[int64]int{}
	for rows.Next() {
		if len(schema.Objects) == domain.MaxSchemaObjects {
			schema.Truncated = true
			break
		}
		object, id := domain.SchemaObject{Database: database}, int64(0)
		if err := rows.Scan(&id, &object.Schema, &object.Name, &object.Kind, &object.Rows, &object.Bytes); err != nil {
			return nil, classify("list the tables", err)
		}
		index[id] = len(schema.Objects)
		schema.Objects = append(schema.Objects, object)
	}
	return index, classify("list the tables", rows.Err())
}

func (s *session) columns(ctx context.Context, index map[int64]int, schema *domain.Schema) error {
	rows, err := s.QueryContext(ctx, `SELECT TOP (@p1) CONVERT(bigint, c.object_id), c.name,
			TYPE_NAME(c.user_type_id) + CASE
				WHEN TYPE_NAME(c.system_type_id) IN (N'nchar', N'nvarchar') THEN N'(' + IIF(c.max_length = -1, N'max', CONVERT(nvarchar(10), c.max_length / 2)) + N')'
				WHEN TYPE_NAME(c.system_type_id) IN (N'char', N'varchar', N'binary', N'varbinary') THEN N'(' + IIF(c.max_length = -1, N'max', CONVERT(nvarchar(10), c.max_length)) + N')'
				WHEN TYPE_NAME(c.system_type_id) IN (N'decimal', N'numeric') THEN N'(' + CONVERT(nvarchar(10), c.precision) + N',' + CONVERT(nvarchar(10), c.scale) + N')'
				ELSE N'' END,
			c.is_nullable
		FROM sys.columns AS c JOIN sys.objects AS o ON o.object_id = c.object_id
		WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 ORDER BY SCHEMA_NAME(o.schema_id), o.name, c.column_id`, domain.MaxSchemaColumns+1)
	if err != nil {
		return classify("list the columns", err)
	}
	defer func() { _ = rows.Close() }()
	for count := 0; rows.Next(); count++ {
		if count == domain.MaxSchemaColumns {
			schema.Truncated = true
			break
		}
		var id int64
		var column domain.SchemaColumn
		if err := rows.Scan(&id, &column.Name, &column.Type, &column.Nullable); err != nil {
			return classify("list the columns", err)
		}
		if i, listed := index[id]; listed {
			schema.Objects[i].Columns = append(schema.Objects[i].Columns, column)
		}
	}
	return classify("list the columns", rows.Err())
}

// Execute runs one statement and discards its rows.
func (e *Engine) Execute(ctx context.Context, src engine.Source, statement string) error {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return err
	}
	defer conn.close()
	return conn.execute(ctx, "run the statement", statement)
}
