package sqlite

import (
	"context"
	"errors"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// choose takes from the restored file the tables that are not chosen, with their indexes and triggers, and the views. Of a
// virtual table, the tables that it keeps its content in stay with it.
func (p place) choose(ctx context.Context, choice *engine.Choice) error {
	db, err := open(ctx, p.partial, writable)
	if err != nil {
		return err
	}
	return errors.Join(db.choose(ctx, choice), db.close())
}

func (c *connection) choose(ctx context.Context, choice *engine.Choice) error {
	drop, err := c.unchosen(ctx, choice)
	if err != nil {
		return err
	}
	if err := choice.Missing(); err != nil {
		return err
	}
	for _, statement := range append([]string{"PRAGMA foreign_keys = OFF", "PRAGMA secure_delete = OFF"}, drop...) {
		if _, err := c.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	_, err = c.ExecContext(ctx, "VACUUM")
	return err
}

// unchosen are the statements that drop the others: views, then virtual tables with what is theirs, then tables.
func (c *connection) unchosen(ctx context.Context, choice *engine.Choice) ([]string, error) {
	rows, err := c.QueryContext(ctx, `SELECT type, name, sql LIKE 'CREATE VIRTUAL%' FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
		ORDER BY type DESC, 3 DESC, name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var drop, virtual []string
	for rows.Next() {
		var kind, name string
		var isVirtual bool
		if err := rows.Scan(&kind, &name, &isVirtual); err != nil {
			return nil, err
		}
		taken := choice.Takes(name)
		switch {
		case taken && isVirtual:
			virtual = append(virtual, name+"_")
		case !taken && !hasPrefix(name, virtual):
			drop = append(drop, "DROP "+kind+" IF EXISTS "+quoted(name))
		}
	}
	return drop, rows.Err()
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func hasPrefix(name string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
