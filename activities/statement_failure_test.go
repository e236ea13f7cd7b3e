package activities

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestAnErrorOfAStatementShowsNamesAndNoRows(t *testing.T) {
	const statement = "update customers set name = 'x', email = lower(email)"
	for name, c := range map[string]struct{ message, shown string }{
		"a missing table":                {`relation "nothing" does not exist (SQLSTATE 42P01)`, `relation "nothing" does not exist (SQLSTATE 42P01)`},
		"a part of the statement":        {`syntax error at or near "lower" (SQLSTATE 42601)`, `syntax error at or near "lower" (SQLSTATE 42601)`},
		"a value of Postgres":            {`invalid input syntax for type integer: "alice@example.com" (SQLSTATE 22P02)`, `invalid input syntax for type integer: … (SQLSTATE 22P02)`},
		"the key of a row of Postgres":   {`duplicate key value violates unique constraint "c_key" (Key (email)=(alice@example.com) already exists.) (SQLSTATE 23505)`, `duplicate key value violates unique constraint "c_key" … (SQLSTATE 23505)`},
		"a value of MariaDB":             {`Error 1062 (23000): Duplicate entry 'O'Brien' for key 'name'`, `Error 1062 (23000): Duplicate entry …`},
		"names of MariaDB":               {"Error 1146 (42S02): Table 'shop.nothing' doesn't exist", "Error 1146 (42S02): Table 'shop.nothing' doesn't exist"},
		"a value of SQL Server":          {"mssql: Violation of UNIQUE KEY constraint 'c'. Cannot insert duplicate key in object 'dbo.c'. The duplicate key value is (alice).", "mssql: Violation of UNIQUE KEY constraint 'c'. Cannot insert duplicate key in object 'dbo.c'. The duplicate key value is …"},
		"a value that is not to its end": {`unterminated "alice`, `unterminated …`},
		"nothing that is quoted":         {"UNIQUE constraint failed: customers.email", "UNIQUE constraint failed: customers.email"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.shown, withoutData(c.message, statement))
			err := statementFailure("run post_restore_sql[0]", statement, failure.New(failure.Unknown, "run the statement", c.message, ""))
			require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "another try would not end better")
			require.NotContains(t, failure.Message(err), "alice")
		})
	}
}
