package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// choose takes from the restored file the tables that are not chosen, with their indexes and triggers, and the views.
func (p place) choose(ctx context.Context, choice *engine.Choice) error {
	db, err := open(ctx, p.partial, writable)
	if err != nil {
		return err
	}
	return errors.Join(db.choose(ctx, choice), db.close())
}

func (c *connection) choose(ctx context.Context, choice *engine.Choice) error {
	_, others, err := c.divide(ctx, func(name string) bool { return choice.Takes(name) })
	if err == nil {
		err = choice.Missing()
	}
	if err == nil {
		err = c.drop(ctx, others)
	}
	if err != nil {
		return err
	}
	return c.compact(ctx)
}

// choose takes from the copy what include_tables and exclude_tables leave out, and the views that read it.
func (d *dump) choose(ctx context.Context) error {
	db, err := open(ctx, d.copyPath(), writable)
	if err != nil {
		return err
	}
	err = d.chooseIn(ctx, db)
	if codeOf(err) == sqlite3.SQLITE_ERROR {
		err = failure.Wrap(failure.Unsupported, "choose tables", err,
			"The database has something that only its application understands, such as a function or a collation of its own: leave include_tables and exclude_tables empty.")
	}
	return errors.Join(err, db.close())
}

func (d *dump) chooseIn(ctx context.Context, db *connection) error {
	include, exclude := engine.NewChoice(d.include), engine.NewChoice(d.exclude)
	chosen, others, err := db.divide(ctx, func(name string) bool {
		excluded := exclude != nil && exclude.Takes(name)
		return include.Takes(name) && !excluded
	})
	if err != nil {
		return err
	}
	if name := include.Unmatched(); name != "" {
		return failure.New(failure.ConfigInvalid, "choose tables", fmt.Sprintf("no table of the database matches %q", name),
			"Correct include_tables: every name or pattern has to match a table or a view.")
	}
	views := slices.DeleteFunc(chosen, func(o object) bool { return o.kind != view || !db.reads(ctx, o.name) })
	if err := db.drop(ctx, others); err != nil {
		return err
	}
	broken := slices.DeleteFunc(views, func(o object) bool { return db.reads(ctx, o.name) })
	if err := errors.Join(context.Cause(ctx), db.drop(ctx, broken)); err != nil { // an ended context reads nothing
		return err
	}
	for _, o := range broken {
		d.warnings = append(d.warnings, fmt.Sprintf("view %s is not in the backup, because something that it reads is not", quoted(o.name)))
	}
	if err := db.compact(ctx); err != nil {
		return err
	}
	d.pages, err = db.pages(ctx)
	return err
}

// object is a table or a view that can be chosen.
type object struct{ kind, name string }

// The kinds, as pragma_table_list names them: virtual tables are dropped before the others, with what is theirs, and views first.
const (
	view    = "view"
	virtual = "virtual"
	table   = "table"
)

// divide lists what is taken and what not. Tables that a virtual one keeps its content in go with it: they are in neither list.
func (c *connection) divide(ctx context.Context, takes func(name string) bool) (taken, others []object, err error) {
	var objects []object
	for _, kind := range []string{view, virtual, table} {
		names, err := c.namesOf(ctx, kind)
		if err != nil {
			return nil, nil, err
		}
		for _, name := range names {
			objects = append(objects, object{kind, name})
		}
	}
	for _, o := range objects {
		switch {
		case o.kind == table && c.isContent(ctx, o.name, objects):
		case takes(o.name):
			taken = append(taken, o)
		default:
			others = append(others, o)
		}
	}
	return taken, others, context.Cause(ctx)
}

func (c *connection) namesOf(ctx context.Context, kind string) (names []string, err error) {
	rows, err := c.QueryContext(ctx, `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = ? AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`, kind)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// isContent reports whether a table may be a virtual one's whose module only the application has. SQLite can not tell then
// (of a module that it knows it says that the table is a shadow), but their names begin alike.
func (c *connection) isContent(ctx context.Context, name string, objects []object) bool {
	return slices.ContainsFunc(objects, func(o object) bool {
		return o.kind == virtual && strings.HasPrefix(name, o.name+"_") && !c.reads(ctx, o.name)
	})
}

// reads reports whether something can be read.
func (c *connection) reads(ctx context.Context, name string) bool {
	_, err := c.ExecContext(ctx, "SELECT * FROM "+quoted(name)+" LIMIT 0")
	return err == nil
}

func (c *connection) drop(ctx context.Context, objects []object) error {
	statements := []string{"PRAGMA foreign_keys = OFF", "PRAGMA secure_delete = OFF"}
	for _, o := range objects {
		kind := "TABLE"
		if o.kind == view {
			kind = "VIEW"
		}
		statements = append(statements, "DROP "+kind+" IF EXISTS "+quoted(o.name))
	}
	for _, statement := range statements {
		if _, err := c.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// compact leaves nothing of what was dropped in the file, nor a WAL beside it.
func (c *connection) compact(ctx context.Context) error {
	_, err := c.ExecContext(ctx, "VACUUM")
	if err == nil {
		_, err = c.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	}
	return err
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
