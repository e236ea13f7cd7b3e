package mysql_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

// What the server says of a statement is kept in executions and logs, which are read by many who may not see a row.
func TestErrorsOfStatementsQuoteNoRows(t *testing.T) {
	src := create(t, "rowless", "", "CREATE TABLE people (id int PRIMARY KEY, email varchar(99), age tinyint CHECK (age < 100), UNIQUE KEY people_email (email))",
		"INSERT INTO people VALUES (1, 'alice@secret.example', 30), (2, 'bob@secret.example', 40)")
	e := newEngine()
	for statement, shown := range map[string]string{
		"UPDATE people SET email = 'o''x@secret.example'":            "Error 1062 (23000): duplicate entry for key 'people_email'",
		"UPDATE people SET age = 120":                                "people.age",
		"SELECT cast(concat(email, '') AS date) + wrong FROM people": "Unknown column 'wrong'",
	} {
		err := e.Execute(enginetest.Context(t), src, statement)
		require.ErrorContains(t, err, shown, statement)
		require.NotContains(t, err.Error(), "secret", statement)
	}
}
