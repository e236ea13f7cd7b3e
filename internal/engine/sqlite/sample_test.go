package sqlite_test

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlite"
)

// sampleTables is how many tables the sample has, those that make an FTS5 table among them.
const sampleTables = 10

const sampleSchema = `
CREATE TABLE plain (id INTEGER PRIMARY KEY AUTOINCREMENT, i INTEGER, r REAL, t TEXT NOT NULL, b BLOB, n NUMERIC, d DATETIME, any);
CREATE TABLE "wéird "" name" ("a b" TEXT COLLATE NOCASE, UNIQUE ("a b"));
CREATE TABLE keyed (k TEXT, v, PRIMARY KEY (k)) WITHOUT ROWID;
CREATE TABLE strict_one (i INT, a ANY, doubled INT GENERATED ALWAYS AS (i * 2) STORED) STRICT;
CREATE VIRTUAL TABLE words USING fts5(body);
CREATE INDEX plain_t ON plain (t DESC) WHERE i > 10;
CREATE INDEX plain_lower ON plain (lower(t));
CREATE VIEW seen AS SELECT t, count(*) AS times FROM plain GROUP BY t;
CREATE TRIGGER logged AFTER DELETE ON plain BEGIN INSERT OR REPLACE INTO keyed VALUES (old.t, old.id); END;
INSERT INTO plain (i, r, t, b, n, d, any) VALUES
  (1, 1.5, 'x', x'00ff00', '12', '2024-01-02 03:04:05', NULL),
  (9223372036854775807, -1e308, 'emoji 😀 ''quoted''', x'', 3.25, NULL, x'01'),
  (NULL, NULL, '', zeroblob(5000), 'text in a number', 17, 'text');
INSERT INTO "wéird "" name" VALUES ('A'), ('ä');
INSERT INTO keyed VALUES ('k', 1), (x'00', NULL);
INSERT INTO strict_one (i, a) VALUES (21, 'x'), (2, x'02');
INSERT INTO words VALUES ('the quick brown fox');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
  INSERT INTO plain (i, t, b) SELECT i, 'row ' || i, randomblob(60) FROM n;
PRAGMA user_version = 42; PRAGMA application_id = 7;`

// newSample is a datasource with the sample in WAL mode, in a directory of its own, below a name that a
// URI has to escape.
func newSample(t *testing.T) engine.Source {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "da ta?#%41")
	require.NoError(t, os.Mkdir(dir, 0o750))
	src := sourceOf(filepath.Join(dir, "säm;ple&=.db"))
	db := connect(t, src.Config.FilePath)
	exec(t, db, "PRAGMA page_size = 4096", "PRAGMA journal_mode = WAL", sampleSchema)
	require.NoError(t, db.Close())
	return src
}

func sourceOf(path string) engine.Source {
	return engine.Source{Name: "sample", Type: domain.SQLite, Config: domain.ConnectionConfig{FilePath: path}}
}

func newEngine() *sqlite.Engine { return sqlite.New(sqlite.Options{}) }

// connect opens a database as an application does. Close may be called before the test ends.
func connect(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(20000)")
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func exec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		_, err := db.Exec(statement)
		require.NoError(t, err, statement)
	}
}

// content is the schema and every row.
func content(t *testing.T, src engine.Source) any {
	t.Helper()
	db := connect(t, src.Config.FilePath)
	defer func() { require.NoError(t, db.Close()) }()
	found := map[string][]string{"schema": enginetest.Rows(t, db, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2")}
	found["user_version"] = enginetest.Rows(t, db, "PRAGMA user_version")
	found["application_id"] = enginetest.Rows(t, db, "PRAGMA application_id")
	for _, name := range enginetest.Rows(t, db, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')") {
		name = strings.TrimSuffix(strings.TrimPrefix(name, `"`), `"`)
		name = strings.ReplaceAll(name, `\"`, `"`)
		found[name] = enginetest.Rows(t, db, `SELECT * FROM "`+strings.ReplaceAll(name, `"`, `""`)+`"`)
	}
	return found
}

// in is a datasource with another file.
func in(src engine.Source, path string) engine.Source {
	src.Config.FilePath = path
	return src
}

// files lists the directory of a database but for SQLite's own files, which come and go, and hidden ones.
func files(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, "-wal") && !strings.HasSuffix(name, "-shm") {
			names = append(names, name)
		}
	}
	return names
}
