package sqlite_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

func TestSQLiteIsAnEngineAndAStager(t *testing.T) {
	src := newSample(t)
	var made atomic.Int32
	enginetest.Run(t, enginetest.Harness{
		Engine: newEngine(), Source: src, MinTables: sampleTables, MinBytes: 200_000,
		MissingDatabase: func(src engine.Source) engine.Source { return in(src, src.Config.FilePath+".missing") },
		Hold: func(t *testing.T, src engine.Source) func() {
			db := connect(t, src.Config.FilePath)
			exec(t, db, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE", "UPDATE plain SET i = 0 WHERE id = 1")
			return func() { exec(t, db, "ROLLBACK"); require.NoError(t, db.Close()) }
		},
		FreshDatabase: func(*testing.T) string {
			return filepath.Join(filepath.Dir(src.Config.FilePath), fmt.Sprintf("frésh %d.db", made.Add(1)))
		},
		In: in, Content: content,
		Databases: func(t *testing.T) []string { return files(t, src.Config.FilePath) },
	})
}
