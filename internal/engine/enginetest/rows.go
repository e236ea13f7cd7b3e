package enginetest

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Rows reads the rows of a query, each as one line of its values with their types. Bytes are written as SQL does, because %#v writes them one by
// one, which takes minutes with the race detector.
func Rows(t *testing.T, db *sql.DB, query string) (lines []string) {
	t.Helper()
	rows, err := db.Query(query)
	require.NoError(t, err, query)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(t, rows.Scan(into...))
		line := make([]string, len(values))
		for i, value := range values {
			if bytes, is := value.([]byte); is {
				line[i] = fmt.Sprintf("x'%x'", bytes)
			} else {
				line[i] = fmt.Sprintf("%#v", value)
			}
		}
		lines = append(lines, strings.Join(line, " | "))
	}
	require.NoError(t, rows.Err())
	return lines
}
