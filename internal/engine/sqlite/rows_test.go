package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

func TestRowsThatPointToNothingAreFound(t *testing.T) {
	src := sourceOf(filepath.Join(t.TempDir(), "x.db"))
	db := connect(t, src.Config.FilePath)
	exec(t, db, "PRAGMA foreign_keys = OFF", "CREATE TABLE whole (id INTEGER PRIMARY KEY)", "CREATE TABLE part (n INT, of INT REFERENCES whole (id))",
		"CREATE TABLE good (of INT REFERENCES whole (id))", "INSERT INTO whole VALUES (1)", "INSERT INTO part VALUES (1, 1), (2, NULL)", "INSERT INTO good VALUES (1)")
	broken, looked, err := newEngine().BrokenKeys(enginetest.Context(t), src)
	require.NoError(t, err)
	require.Empty(t, broken, "NULL points nowhere, and may")
	require.Equal(t, 2, looked)

	exec(t, db, "INSERT INTO part VALUES (3, 7), (4, 8)")
	require.NoError(t, db.Close())
	broken, looked, err = newEngine().BrokenKeys(enginetest.Context(t), src)
	require.NoError(t, err)
	require.Equal(t, []string{"part to whole"}, broken)
	require.Equal(t, 2, looked)
}
