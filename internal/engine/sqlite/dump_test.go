package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlite"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestADumpIsOneMomentOfADatabaseThatIsWrittenMeanwhile(t *testing.T) {
	for _, mode := range []string{"WAL", "DELETE", "TRUNCATE", "PERSIST"} {
		t.Run(mode, func(t *testing.T) {
			src := sourceOf(filepath.Join(t.TempDir(), "busy.db"))
			db := connect(t, src.Config.FilePath)
			exec(t, db, "PRAGMA journal_mode = "+mode, "CREATE TABLE a (x BLOB)", "CREATE TABLE b (x BLOB)")
			add := "INSERT INTO a VALUES (randomblob(3000)); INSERT INTO b VALUES (randomblob(3000));"
			exec(t, db, "BEGIN; "+strings.Repeat(add, 500)+" COMMIT;")
			stop, written := writer(db, "BEGIN IMMEDIATE; "+add+" DELETE FROM a WHERE rowid % 97 = 3; DELETE FROM b WHERE rowid % 97 = 3; COMMIT;")
			for i := range 5 {
				archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
				counts := counted(t, archive)
				require.Equal(t, counts[0], counts[1], "dump %d is of one moment", i)
				require.Greater(t, counts[0], 400)
			}
			stop()
			require.Positive(t, written(), "the writer was not kept out")
		})
	}
}

// writer runs a transaction over and over until stop is called.
func writer(db *sql.DB, statements string) (stop func(), written func() int) {
	end, ended, count := make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			default:
				if _, err := db.Exec(statements); err == nil {
					count++
				}
			}
		}
	}()
	return func() { close(end); <-ended }, func() int { return count }
}

// counted restores into a new file and counts both tables.
func counted(t *testing.T, archive enginetest.Archive) (counts [2]int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "restored.db")
	enginetest.Restore(t, newEngine(), sourceOf(path), archive.Request("cccc0001", path), archive.Opener())
	db := connect(t, path)
	require.NoError(t, db.QueryRow("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)").Scan(&counts[0], &counts[1]))
	require.NoError(t, db.Close())
	return counts
}

func TestADumpHoldsWhatIsOnlyInTheWAL(t *testing.T) {
	src := newSample(t)
	db := connect(t, src.Config.FilePath)
	exec(t, db, "PRAGMA wal_autocheckpoint = 0", "CREATE TABLE only_in_wal (x)", "INSERT INTO only_in_wal VALUES (1)")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	require.True(t, bytes.Contains(archive.Bytes, []byte("only_in_wal")))
	require.Equal(t, "SQLite format 3\x00", string(archive.Bytes[:16]), "standard tools read it")
}

func TestPagesThatDidNotChangeAreTheSameInTheNextDump(t *testing.T) {
	src := newSample(t)
	before, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	db := connect(t, src.Config.FilePath)
	exec(t, db, "UPDATE plain SET i = 7 WHERE id = 2000", "INSERT INTO keyed VALUES ('new', 1)")
	after, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	changed := 0
	for at := 0; at < len(after.Bytes); at += 4096 {
		if at >= len(before.Bytes) || !bytes.Equal(before.Bytes[at:at+4096], after.Bytes[at:at+4096]) {
			changed++
		}
	}
	require.Positive(t, changed)
	require.LessOrEqual(t, changed, 6, "of %d pages", len(after.Bytes)/4096)
}

func TestWhatCanNotBeBackedUpIsTold(t *testing.T) {
	big := bytes.Repeat([]byte("no database "), 10_000)
	for name, test := range map[string]struct {
		make  func(t *testing.T, path string)
		class failure.Class
		says  string
	}{
		"a file that is not there":         {func(*testing.T, string) {}, failure.NotFound, "does not exist on this worker"},
		"a folder":                         {func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) }, failure.ConfigInvalid, "is not a file"},
		"an empty file":                    {func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, nil, 0o600)) }, failure.ConfigInvalid, "empty"},
		"a text, or an encrypted database": {func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, big, 0o600)) }, failure.ConfigInvalid, "encrypted"},
		"a database with a broken page":    {breakPage, failure.Corrupt, "damaged"},
		"a database that was cut":          {cutFile, failure.Corrupt, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			src := sourceOf(filepath.Join(t.TempDir(), "x.db"))
			test.make(t, src.Config.FilePath)
			archive, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{})
			enginetest.RequireClass(t, test.class, err)
			require.Contains(t, failure.Message(err), test.says)
			require.Empty(t, archive.Bytes, "nothing reached the storage")
			if test.class != failure.Corrupt {
				_, err = newEngine().Probe(enginetest.Context(t), src)
				enginetest.RequireClass(t, test.class, err)
			}
		})
	}
}

func breakPage(t *testing.T, path string) {
	db := connect(t, path)
	exec(t, db, sampleSchema)
	require.NoError(t, db.Close())
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte{0xa5}, 4096*4), 4096*20)
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

func cutFile(t *testing.T, path string) {
	db := connect(t, path)
	exec(t, db, sampleSchema)
	require.NoError(t, db.Close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, info.Size()/2/4096*4096))
}

func TestRowsThatContradictAConstraintAreBackedUpWithAWarning(t *testing.T) {
	src := sourceOf(filepath.Join(t.TempDir(), "x.db"))
	db := connect(t, src.Config.FilePath)
	exec(t, db, "CREATE TABLE t (x TEXT)", "INSERT INTO t VALUES (NULL)", "PRAGMA writable_schema = ON",
		"UPDATE sqlite_schema SET sql = 'CREATE TABLE t (x TEXT NOT NULL)'", "PRAGMA writable_schema = RESET")
	require.NoError(t, db.Close())
	archive, report := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	require.Contains(t, strings.Join(report.Warnings, " "), "NULL value in t.x")
	path := filepath.Join(t.TempDir(), "restored.db")
	restored := enginetest.Restore(t, newEngine(), sourceOf(path), archive.Request("cccc0002", path), archive.Opener())
	require.Contains(t, strings.Join(restored.Warnings, " "), "NULL value in t.x")
}

func TestADatabaseThatStaysLockedIsATimeout(t *testing.T) {
	src := newSample(t)
	db := connect(t, src.Config.FilePath)
	exec(t, db, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE")
	_, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{IdleTimeout: 300 * time.Millisecond})
	enginetest.RequireClass(t, failure.Timeout, err)
	require.Contains(t, failure.Message(err), "lock")
	exec(t, db, "ROLLBACK")
}

func TestAStorageThatTakesNothingIsATimeout(t *testing.T) {
	_, err := newEngine().Dump(enginetest.Context(t), newSample(t), engine.DumpOptions{IdleTimeout: 300 * time.Millisecond},
		func(ctx context.Context, _ engine.Stream, _ io.Reader) error {
			<-ctx.Done()
			return ctx.Err()
		})
	enginetest.RequireClass(t, failure.Timeout, err)
}

func TestNoCopyIsLeft(t *testing.T) {
	temp := t.TempDir()
	e := sqlite.New(sqlite.Options{TempDir: temp})
	abandoned := filepath.Join(temp, "dataguardian-sqlite-dead")
	require.NoError(t, os.Mkdir(abandoned, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(abandoned, "copy.db"), []byte("x"), 0o600))
	long := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(abandoned, long, long))
	src := newSample(t)
	var during []string
	var once sync.Once
	var stored bytes.Buffer
	var stream engine.Stream
	_, err := e.Dump(enginetest.Context(t), src, engine.DumpOptions{}, func(_ context.Context, s engine.Stream, r io.Reader) error {
		once.Do(func() { during, _ = filepath.Glob(filepath.Join(temp, "*", "*.db")) })
		stream = s
		_, err := io.Copy(&stored, r)
		return err
	})
	require.NoError(t, err)
	require.Empty(t, during, "a worker that is killed in mid-stream leaves nothing")
	_, err = e.Inspect(enginetest.Context(t), stream, &stored)
	require.NoError(t, err)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestPagesOfEverySizeAreBackedUp(t *testing.T) {
	for _, setting := range []string{"page_size = 512", "page_size = 65536", "auto_vacuum = FULL", "encoding = 'UTF-16le'"} {
		for _, mode := range []string{"WAL", "DELETE"} {
			t.Run(setting+" in mode "+mode, func(t *testing.T) {
				src := sourceOf(filepath.Join(t.TempDir(), "x.db"))
				db := connect(t, src.Config.FilePath)
				exec(t, db, "PRAGMA "+setting, "PRAGMA journal_mode = "+mode, sampleSchema, "DELETE FROM plain WHERE id % 3 = 0")
				require.NoError(t, db.Close())
				archive, report := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
				require.Empty(t, report.Warnings)
				path := filepath.Join(t.TempDir(), "restored.db")
				enginetest.Restore(t, newEngine(), sourceOf(path), archive.Request("cccc0003", path), archive.Opener())
				require.Equal(t, content(t, src), content(t, sourceOf(path)))
			})
		}
	}
}
