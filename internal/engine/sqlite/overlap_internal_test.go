package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/files"
	"github.com/dataguardian/dataguardian/internal/engine/idle"
)

// anotherProcess makes the test program an application that writes: locks are a process's, so that one within the tests
// would not see those of the engine as others do.
const anotherProcess = "write-as-another-process"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == anotherProcess {
		os.Exit(writeNow(os.Args[2]))
	}
	os.Exit(m.Run())
}

const isLockedStatus = 3

// writeNow changes every row, and moves a WAL into the file as far as readers let it.
func writeNow(path string) int {
	db, err := sql.Open("sqlite", uri(path)+"?mode=rw&_pragma=busy_timeout(0)")
	if err == nil {
		db.SetMaxOpenConns(1)
		_, err = db.Exec("BEGIN IMMEDIATE; UPDATE t SET generation = generation + 1; COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
		err = errors.Join(err, db.Close())
	}
	switch {
	case isLocked(err):
		return isLockedStatus
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// write reports whether another process could write.
func write(t *testing.T, path string) bool {
	t.Helper()
	command := exec.Command(os.Args[0], anotherProcess, path) //nolint:gosec // this program
	out, err := command.CombinedOutput()
	var status *exec.ExitError
	if errors.As(err, &status) && status.ExitCode() == isLockedStatus {
		return false
	}
	require.NoError(t, err, string(out))
	return true
}

// newGenerations makes a database of more pages than are copied at once, each with rows of generation 1000.
func newGenerations(t *testing.T, mode string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.db")
	db, err := sql.Open("sqlite", uri(path))
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	_, err = db.Exec("PRAGMA journal_mode = " + mode + `; PRAGMA page_size = 4096; CREATE TABLE t (generation INTEGER, filler BLOB);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) INSERT INTO t SELECT 1000, zeroblob(900) FROM n`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	return path
}

// backUpAsFiles is a job of type files of the database's folder.
func backUpAsFiles(t *testing.T, path string) {
	t.Helper()
	src := engine.Source{Name: "folder", Type: domain.Files, Config: domain.ConnectionConfig{SourcePath: filepath.Dir(path)}}
	archive, _ := enginetest.Dump(t, files.New(files.Options{}), src, engine.DumpOptions{})
	require.NotEmpty(t, archive.Bytes)
}

// midway calls do when the copy has begun: between two steps of it the engine asks whether the context has ended.
type midway struct {
	context.Context //nolint:containedctx // it is one
	temp            string
	once            sync.Once
	do              func()
}

func (m *midway) Err() error {
	copies, _ := filepath.Glob(filepath.Join(m.temp, "*", "copy.db"))
	if len(copies) == 1 {
		if info, err := os.Stat(copies[0]); err == nil && info.Size() > 0 {
			m.once.Do(m.do)
		}
	}
	return m.Context.Err()
}

// TestACopyIsOfOneMomentThoughAFilesJobReadsTheDatabase: the files job closes the database, which would end the locks of the copy.
func TestACopyIsOfOneMomentThoughAFilesJobReadsTheDatabase(t *testing.T) {
	for mode, wrote := range map[string]bool{"DELETE": false, "WAL": true} {
		t.Run(mode, func(t *testing.T) {
			path, temp := newGenerations(t, mode), t.TempDir()
			during := false
			ctx := &midway{Context: enginetest.Context(t), temp: temp, do: func() {
				during = true
				backUpAsFiles(t, path)
				require.Equal(t, wrote, write(t, path), "an application writes")
			}}
			d := dump{path: path, tempDir: temp, idle: &idle.Watch{}}
			stored := filepath.Join(t.TempDir(), "stored.db")
			_, err := d.run(ctx, func(_ context.Context, _ engine.Stream, r io.Reader) error {
				bytes, err := io.ReadAll(r)
				return errors.Join(err, os.WriteFile(stored, bytes, 0o600))
			})
			require.NoError(t, err)
			require.True(t, during)
			db, err := open(enginetest.Context(t), stored, private)
			require.NoError(t, err)
			var oldest, newest int
			require.NoError(t, db.QueryRowContext(t.Context(), "SELECT min(generation), max(generation) FROM t").Scan(&oldest, &newest))
			require.NoError(t, db.close())
			require.Equal(t, [2]int{1000, 1000}, [2]int{oldest, newest}, "generations in the backup")
			require.True(t, write(t, path), "nobody is kept out longer")
			require.Empty(t, descriptorsOf(t, path))
		})
	}
}

// descriptorsOf lists the open descriptors of a database and the files beside it.
func descriptorsOf(t *testing.T, path string) (found []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, entry := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.HasPrefix(to, path) {
			found = append(found, to)
		}
	}
	return found
}

func TestADatabaseThatARestoreHoldsStaysHeldThoughAFilesJobReadsIt(t *testing.T) {
	path := newGenerations(t, "DELETE")
	held, err := place{target: path}.hold(enginetest.Context(t), time.Second)
	require.NoError(t, err)
	backUpAsFiles(t, path)
	require.False(t, write(t, path))
	require.NoError(t, held.close())
	require.True(t, write(t, path))
	require.Empty(t, descriptorsOf(t, path))
}

// TestAConnectionIsOfTheFileThatIsKept: one that takes the name while SQLite opens it is another one.
func TestAConnectionIsOfTheFileThatIsKept(t *testing.T) {
	path := newGenerations(t, "DELETE")
	db, err := open(enginetest.Context(t), path, readOnly)
	require.NoError(t, err)
	require.False(t, db.kept.Moved())
	require.NoError(t, os.Rename(newGenerations(t, "DELETE"), path))
	require.True(t, db.kept.Moved())
	require.NoError(t, db.close())
}
