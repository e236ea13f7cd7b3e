package mysql_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

func TestRowsThatPointToNothingAreFound(t *testing.T) {
	src := create(t, "broken `keys", "",
		"CREATE TABLE `who``le` (a int, b int, PRIMARY KEY (a, b))",
		"CREATE TABLE part (n int, a int, b int, CONSTRAINT `of whole` FOREIGN KEY (a, b) REFERENCES `who``le` (a, b))",
		"CREATE TABLE good (a int, b int, CONSTRAINT good_of FOREIGN KEY (a, b) REFERENCES `who``le` (a, b))",
		"INSERT INTO `who``le` VALUES (1, 2)", "INSERT INTO part VALUES (1, 1, 2), (2, NULL, 9)", "INSERT INTO good VALUES (1, 2)")
	broken, looked, err := newEngine().BrokenKeys(enginetest.Context(t), src)
	require.NoError(t, err)
	require.Empty(t, broken, "a key that is NULL in part points nowhere, and may")
	require.Equal(t, 2, looked)

	execute(t, src.Config.Database, "SET foreign_key_checks = 0", "INSERT INTO part VALUES (3, 2, 1), (4, 2, 2)")
	broken, looked, err = newEngine().BrokenKeys(enginetest.Context(t), src)
	require.NoError(t, err)
	require.Equal(t, []string{"of whole of table part to who`le"}, broken)
	require.Equal(t, 2, looked)
}
