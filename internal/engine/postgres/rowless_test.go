package postgres_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

// What the server says of a statement is kept in executions and logs, which are read by many who may not see a row.
func TestErrorsOfStatementsQuoteNoRows(t *testing.T) {
	src := create(t, "rowless", "TEMPLATE template0 ENCODING 'UTF8'")
	dropAfter(t, src.Config.Database)
	execute(t, src, "CREATE TYPE mood AS ENUM ('good')",
		"CREATE TABLE people (id int PRIMARY KEY, email text CONSTRAINT people_email_key UNIQUE, age int CHECK (age < 200), boss int REFERENCES people)",
		"INSERT INTO people VALUES (1, 'alice@secret.example', 30), (2, 'bob@secret.example', 40)",
		"CREATE VIEW adults AS SELECT * FROM people WHERE age > 18 WITH CHECK OPTION")
	e := newEngine()
	run := map[string]func(context.Context, engine.Source, string) error{
		"Execute": e.Execute,
		"Query": func(ctx context.Context, src engine.Source, statement string) error {
			_, err := e.Query(ctx, src, statement)
			return err
		},
		"ReadColumn": func(ctx context.Context, src engine.Source, statement string) error {
			return e.ReadColumn(ctx, src, statement, "v", func(string) error { return nil })
		},
	}
	for _, c := range []struct{ way, statement, shown string }{
		{"Execute", "UPDATE people SET email = (SELECT email FROM people WHERE id = 1)", `unique violation, constraint "people_email_key", table "people" (SQLSTATE 23505)`},
		{"Execute", "UPDATE people SET age = age + 170", `check violation, constraint "people_age_check", table "people" (SQLSTATE 23514)`},
		{"Execute", "UPDATE people SET boss = 4242", `foreign key violation, constraint "people_boss_fkey", table "people" (SQLSTATE 23503)`},
		{"Execute", "UPDATE people SET id = NULL", `not null violation, column "id", table "people" (SQLSTATE 23502)`},
		{"Execute", "UPDATE adults SET age = 3", "(SQLSTATE 44000)"},
		{"Execute", "SELECT email::int FROM people", "invalid text representation (SQLSTATE 22P02)"},
		{"Query", "SELECT email::int FROM people", "invalid text representation (SQLSTATE 22P02)"},
		{"Query", "SELECT email::mood FROM people", "invalid text representation (SQLSTATE 22P02)"},
		{"Query", "SELECT email::date FROM people", "invalid datetime format (SQLSTATE 22007)"},
		{"Query", "SELECT set_config('timezone', email, true) FROM people", "invalid parameter value (SQLSTATE 22023)"},
		{"Query", "SELECT 1/0", "division by zero (SQLSTATE 22012)"},
		{"ReadColumn", "SELECT (email::json)::text AS v FROM people", "invalid text representation (SQLSTATE 22P02)"},
		{"Execute", "DROP TABLE people", "view adults depends on table people"},
		{"Query", "SELECT wrong FROM people", `column "wrong" does not exist (SQLSTATE 42703)`},
	} {
		err := run[c.way](enginetest.Context(t), src, c.statement)
		require.ErrorContains(t, err, c.shown, c.statement)
		for _, value := range []string{"secret", "4242", "alice"} {
			require.NotContains(t, err.Error(), value, c.statement)
		}
	}
}
