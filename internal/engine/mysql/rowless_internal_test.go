package mysql

import (
	"testing"

	protocol "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestMessagesAboutValuesAreToldWithoutThem(t *testing.T) {
	for name, c := range map[string]struct {
		number         uint16
		state          string
		message, shown string
	}{
		"an entry that is there twice":       {1062, "23000", "Duplicate entry 'o' for key 'x-secret' for key 'people.email'", "duplicate entry for key 'people.email'"},
		"a value that is none":               {1292, "22007", "Truncated incorrect INTEGER value: 'secret'", "incorrect or truncated value"},
		"a value of a column":                {1366, "22007", "Incorrect integer value: 'secret' for column `shop`.`people`.`id` at row 1", "incorrect value for a column"},
		"an error that XPATH is made tell":   {1105, "HY000", "XPATH syntax error: '~secret'", "error in an XPath expression"},
		"an error of a proxy":                {1105, "HY000", "target: shop.0.primary: no healthy tablet", "target: shop.0.primary: no healthy tablet"},
		"a text in another encoding":         {1300, "HY000", "Invalid utf8mb4 character string: 'secret'", "invalid character string"},
		"another one about data":             {1999, "22999", "Who knows 'secret'", "data exception"},
		"another one about a constraint":     {1998, "23000", "Who knows 'secret'", "integrity constraint violation"},
		"a column that may not be null":      {1048, "23000", "Column 'email' cannot be null", "Column 'email' cannot be null"},
		"a table that is not there":          {1146, "42S02", "Table 'shop.people' doesn't exist", "Table 'shop.people' doesn't exist"},
		"what a trigger's author had to say": {1644, "45000", "too few rows", "too few rows"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.shown, shownMessage(c.number, c.state, c.message))
			err := &protocol.MySQLError{Number: c.number, SQLState: [5]byte([]byte(c.state)), Message: c.message}
			require.NotContains(t, classify("run the statement", err).Error(), "secret")
			require.NotContains(t, classifyQuery(err).Error(), "secret")
		})
	}
}

func TestWhatTheToolRepeatsOfRowsIsNotTold(t *testing.T) {
	for said, shown := range map[string]string{
		"ERROR 1062 (23000) at line 7: Duplicate entry 'secret\nof two lines' for key 'people_email'":                                                   "ERROR 1062 (23000) at line 7: duplicate entry for key 'people_email'",
		"ERROR 1292 (22007) at line 7: Truncated incorrect DOUBLE value: 'secret'\n":                                                                    "ERROR 1292 (22007) at line 7: incorrect or truncated value",
		"ERROR 1064 (42000) at line 7: You have an error in your SQL syntax; check the manual for the right syntax to use near ''secret',2)' at line 1": "ERROR 1064 (42000) at line 7: You have an error in your SQL syntax; check the manual for the right syntax to use",
		"ERROR 1146 (42S02) at line 7: Table 'shop.people' doesn't exist":                                                                               "ERROR 1146 (42S02) at line 7: Table 'shop.people' doesn't exist",
		"mysqldump: Got error: 1045: \"Access denied\" when trying to connect":                                                                          "mysqldump: Got error: 1045: \"Access denied\" when trying to connect",
	} {
		err := classifyTool("load", &process.ExitError{Program: "mariadb", Code: 1, Stderr: said})
		var exit *process.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, shown, exit.Stderr)
	}
	require.Equal(t, failure.AuthFailed, failure.ClassOf(classifyTool("dump", &process.ExitError{Stderr: "Got error: 1045: no"})))
}
