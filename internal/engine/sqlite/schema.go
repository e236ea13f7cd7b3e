package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
)

// Schema lists tables and views with their columns. Rows are what ANALYZE counted last, bytes those of the pages
// that the table and its indexes have.
func (e *Engine) Schema(ctx context.Context, src engine.Source) (domain.Schema, error) {
	schema := domain.Schema{Objects: []domain.SchemaObject{}}
	ctx, cancel := context.WithTimeout(ctx, domain.QueryTimeout)
	defer cancel()
	err := reading(ctx, src.Config.FilePath, func(db *connection) error {
		if _, err := db.ExecContext(ctx, "BEGIN"); err != nil {
			return err
		}
		if err := db.read(ctx, probeTimeout); err != nil {
			return err
		}
		return db.describe(ctx, &schema)
	})
	return schema, classify("read the schema of "+src.Config.FilePath, err)
}

func (c *connection) describe(ctx context.Context, schema *domain.Schema) error {
	if err := c.listObjects(ctx, schema); err != nil {
		return err
	}
	rows, err := c.estimates(ctx)
	if err != nil {
		return err
	}
	columns := 0
	for i := range schema.Objects {
		object := &schema.Objects[i]
		if estimate, known := rows[object.Name]; known {
			object.Rows = estimate
		}
		if columns >= domain.MaxSchemaColumns {
			schema.Truncated = true
			break
		}
		if object.Columns, err = c.columns(ctx, object.Name, domain.MaxSchemaColumns-columns); err != nil {
			if ctx.Err() != nil || isDamaged(err) {
				return err
			}
			continue // a view of what is not there any more, or a module that only the application has
		}
		columns += len(object.Columns)
	}
	return c.sizes(ctx, schema)
}

func (c *connection) listObjects(ctx context.Context, schema *domain.Schema) error {
	rows, err := c.QueryContext(ctx, `SELECT name, type FROM sqlite_schema
		WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name LIMIT ?`, domain.MaxSchemaObjects+1)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if len(schema.Objects) == domain.MaxSchemaObjects {
			schema.Truncated = true
			break
		}
		object := domain.SchemaObject{Rows: -1, Bytes: -1}
		if err := rows.Scan(&object.Name, &object.Kind); err != nil {
			return err
		}
		schema.Objects = append(schema.Objects, object)
	}
	return rows.Err()
}

// estimates reads what ANALYZE wrote, if it ever ran.
func (c *connection) estimates(ctx context.Context) (map[string]int64, error) {
	var analyzed bool
	if err := c.QueryRowContext(ctx, "SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'sqlite_stat1'").Scan(&analyzed); err != nil || !analyzed {
		return nil, err
	}
	rows, err := c.QueryContext(ctx, "SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 GROUP BY tbl")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string]int64{}
	for rows.Next() {
		var table sql.NullString
		var count sql.NullInt64
		if err := rows.Scan(&table, &count); err != nil {
			return nil, err
		}
		if table.Valid && count.Valid {
			found[table.String] = count.Int64
		}
	}
	return found, rows.Err()
}

func (c *connection) columns(ctx context.Context, table string, limit int) ([]domain.SchemaColumn, error) {
	rows, err := c.QueryContext(ctx, `SELECT name, type, "notnull" = 0 AND pk = 0 FROM pragma_table_xinfo(?) WHERE hidden <> 1 LIMIT ?`, table, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var columns []domain.SchemaColumn
	for rows.Next() {
		var column domain.SchemaColumn
		if err := rows.Scan(&column.Name, &column.Type, &column.Nullable); err != nil {
			return nil, err
		}
		columns = append(columns, column)
	}
	return columns, rows.Err()
}

// sizesFrom is the size of a file of which the pages are not counted any more: it takes reading them all.
const sizesFrom = 1 << 30

// sizes asks dbstat, which reads every page of what it counts.
func (c *connection) sizes(ctx context.Context, schema *domain.Schema) error {
	size, err := c.pages(ctx)
	if err != nil || size.bytes() > sizesFrom {
		return err
	}
	rows, err := c.QueryContext(ctx, `SELECT s.tbl_name, sum(d.pgsize) FROM dbstat d JOIN sqlite_schema s ON s.name = d.name
		WHERE d.aggregate = TRUE GROUP BY s.tbl_name`)
	if err != nil {
		return err
	}
	defer rows.Close()
	bytes := map[string]int64{}
	for rows.Next() {
		var table string
		var size int64
		if err := rows.Scan(&table, &size); err != nil {
			return err
		}
		bytes[table] = size
	}
	for i := range schema.Objects {
		if size, known := bytes[schema.Objects[i].Name]; known {
			schema.Objects[i].Bytes = size
		}
	}
	return errors.Join(rows.Err(), ctx.Err())
}
