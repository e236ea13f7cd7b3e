package sqlite_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlite"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

// target is a database of one table with other content than the sample's.
func target(t *testing.T, dir, mode string) engine.Source {
	t.Helper()
	src := sourceOf(filepath.Join(dir, "target.db"))
	db := connect(t, src.Config.FilePath)
	exec(t, db, "PRAGMA journal_mode = "+mode, "CREATE TABLE old (x)", "INSERT INTO old VALUES ('old')")
	require.NoError(t, db.Close())
	return src
}

func replaceRequest(archive enginetest.Archive, src engine.Source) engine.StageRequest {
	req := archive.Request("dddd0001", src.Config.FilePath)
	req.DropExisting = true
	return req
}

func TestADatabaseInUseIsNotReplaced(t *testing.T) {
	sample := newSample(t)
	archive, _ := enginetest.Dump(t, newEngine(), sample, engine.DumpOptions{})
	for name, test := range map[string]struct {
		mode string
		uses []string
	}{
		"in WAL mode by an application that is idle":       {"WAL", []string{"SELECT * FROM old"}},
		"in WAL mode by one that writes":                   {"WAL", []string{"BEGIN IMMEDIATE", "INSERT INTO old VALUES (2)"}},
		"in another mode by one that reads":                {"DELETE", []string{"BEGIN", "SELECT count(*) FROM old"}},
		"in another mode by one that writes":               {"DELETE", []string{"BEGIN IMMEDIATE", "INSERT INTO old VALUES (2)"}},
		"by one that has it locked for as long as it runs": {"DELETE", []string{"PRAGMA locking_mode = EXCLUSIVE", "UPDATE old SET x = 'old'"}},
	} {
		t.Run(name, func(t *testing.T) {
			src := target(t, t.TempDir(), test.mode)
			app := connect(t, src.Config.FilePath)
			exec(t, app, test.uses...)
			e, req := sqlite.New(sqlite.Options{HoldTimeout: 100 * time.Millisecond}), replaceRequest(archive, src)
			err := e.CheckTarget(enginetest.Context(t), src, req)
			enginetest.RequireClass(t, failure.ConfigInvalid, err)
			require.Contains(t, failure.Message(err), "in use")
			require.Contains(t, failure.Message(err), "Stop the applications")
			_, err = e.Stage(enginetest.Context(t), src, req, archive.Opener())
			require.NoError(t, err)
			_, err = e.Promote(enginetest.Context(t), src, req)
			enginetest.RequireClass(t, failure.ConfigInvalid, err)

			require.NoError(t, app.Close())
			app = connect(t, src.Config.FilePath)
			require.Equal(t, []string{`"old"`}, enginetest.Rows(t, app, "SELECT x FROM old"))
			require.Equal(t, []string{`"` + strings.ToLower(test.mode) + `"`}, enginetest.Rows(t, app, "PRAGMA journal_mode"), "it is as it was")
			require.NoError(t, app.Close())
			_, err = e.Promote(enginetest.Context(t), src, req)
			require.NoError(t, err)
			require.Equal(t, content(t, sample), content(t, src))
		})
	}
}

func TestTheOldWALIsNotAppliedToTheRestoredFile(t *testing.T) {
	sample := newSample(t)
	archive, _ := enginetest.Dump(t, newEngine(), sample, engine.DumpOptions{})
	for name, spoil := range map[string]func(t *testing.T, path string){
		"of a killed application": func(*testing.T, string) {},
		"of a damaged database": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("damaged ", 1000)), 0o600))
			require.NoError(t, os.Remove(path+"-wal"))
			require.NoError(t, os.WriteFile(path+"-wal", []byte("whatever"), 0o600))
		},
		"of a database that is gone": func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
	} {
		t.Run(name, func(t *testing.T) {
			src := killed(t)
			spoil(t, src.Config.FilePath)
			require.FileExists(t, src.Config.FilePath+"-wal")
			req := replaceRequest(archive, src)
			req.DropExisting = false
			enginetest.RequireClass(t, failure.ConfigInvalid, newEngine().CheckTarget(enginetest.Context(t), src, req))
			enginetest.Restore(t, newEngine(), src, replaceRequest(archive, src), archive.Opener())
			for _, suffix := range []string{"-wal", "-shm", "-journal"} {
				require.NoFileExists(t, src.Config.FilePath+suffix)
			}
			require.Equal(t, content(t, sample), content(t, src))
			require.Equal(t, []string{"app.db"}, files(t, src.Config.FilePath))
		})
	}
}

// killed is what an application leaves that is killed with changes in its WAL.
func killed(t *testing.T) engine.Source {
	t.Helper()
	alive := filepath.Join(t.TempDir(), "alive.db")
	db := connect(t, alive)
	exec(t, db, "PRAGMA journal_mode = WAL", "PRAGMA wal_autocheckpoint = 0", "CREATE TABLE old (x)", "INSERT INTO old VALUES (randomblob(20000))")
	src := sourceOf(filepath.Join(t.TempDir(), "app.db"))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		bytes, err := os.ReadFile(alive + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(src.Config.FilePath+suffix, bytes, 0o600))
	}
	return src
}

func TestASymbolicLinkPermissionsAndOwnerStay(t *testing.T) {
	sample := newSample(t)
	archive, _ := enginetest.Dump(t, newEngine(), sample, engine.DumpOptions{})
	src := target(t, t.TempDir(), "WAL")
	require.NoError(t, os.Chmod(src.Config.FilePath, 0o640))
	require.NoError(t, os.Chown(src.Config.FilePath, 12, 34))
	link := filepath.Join(t.TempDir(), "link.db")
	require.NoError(t, os.Symlink(src.Config.FilePath, link))
	linked := in(src, link)
	enginetest.Restore(t, newEngine(), linked, replaceRequest(archive, linked), archive.Opener())
	where, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, src.Config.FilePath, where)
	info, err := os.Stat(src.Config.FilePath)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	owner := info.Sys().(*syscall.Stat_t)
	require.Equal(t, [2]uint32{12, 34}, [2]uint32{owner.Uid, owner.Gid})
	require.Equal(t, content(t, sample), content(t, src))
}

func TestARestoreWritesNowhereElse(t *testing.T) {
	sample := newSample(t)
	archive, _ := enginetest.Dump(t, newEngine(), sample, engine.DumpOptions{})
	dir := t.TempDir()
	src := target(t, dir, "DELETE")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("not a database"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "dangling")))
	for name, wanted := range map[string]string{
		"another folder":             "/etc/dataguardian.db",
		"a folder above":             dir + "/../x.db",
		"a folder above, by name":    "..",
		"a relative path":            "a/x.db",
		"a file that is no database": filepath.Join(dir, "notes.txt"),
		"a folder itself":            filepath.Join(dir, "folder"),
		"a link to nothing":          filepath.Join(dir, "dangling"),
		"the WAL of a database":      src.Config.FilePath + "-wal",
		"nothing":                    "",
		"a name with a NUL":          "a\x00b",
	} {
		t.Run(name, func(t *testing.T) {
			req := archive.Request("dddd0002", wanted)
			req.DropExisting = true
			err := newEngine().CheckTarget(enginetest.Context(t), src, req)
			enginetest.RequireClass(t, failure.ConfigInvalid, err)
			require.NotEmpty(t, failure.HintOf(err))
		})
	}
	text, err := os.ReadFile(filepath.Join(dir, "notes.txt"))
	require.NoError(t, err)
	require.Equal(t, "not a database", string(text))
	req := archive.Request("dddd0003", "beside.db")
	enginetest.Restore(t, newEngine(), src, req, archive.Opener())
	require.Equal(t, content(t, sample), content(t, in(src, filepath.Join(dir, "beside.db"))), "a name is a file beside the datasource's")
}

func TestAFullDiskIsTold(t *testing.T) {
	archive, _ := enginetest.Dump(t, newEngine(), newSample(t), engine.DumpOptions{})
	dir := storagetest.SmallDir(t, 300_000)
	src := target(t, dir, "DELETE")
	err := newEngine().CheckTarget(enginetest.Context(t), src, replaceRequest(archive, src))
	enginetest.RequireClass(t, failure.StorageFull, err)
	require.Contains(t, err.Error(), dir)
	_, err = newEngine().Stage(enginetest.Context(t), src, replaceRequest(archive, src), archive.Opener())
	enginetest.RequireClass(t, failure.StorageFull, err)
	require.Equal(t, []string{"target.db"}, files(t, src.Config.FilePath))

	small := sqlite.New(sqlite.Options{TempDir: dir})
	_, _, err = enginetest.TryDump(t, small, newSample(t), engine.DumpOptions{})
	enginetest.RequireClass(t, failure.StorageFull, err)
	require.Contains(t, failure.Message(err), "TMPDIR")
	_, err = small.Inspect(enginetest.Context(t), archive.Stream, strings.NewReader(string(archive.Bytes)))
	enginetest.RequireClass(t, failure.StorageFull, err)
}

func TestAFolderThatCanNotBeWrittenIsTold(t *testing.T) {
	archive, _ := enginetest.Dump(t, newEngine(), newSample(t), engine.DumpOptions{})
	src := target(t, t.TempDir(), "DELETE")
	storagetest.ReadOnlyDir(t, filepath.Dir(src.Config.FilePath))
	_, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{})
	require.NoError(t, err, "a backup does not need to write there")
	_, err = newEngine().Stage(enginetest.Context(t), src, replaceRequest(archive, src), archive.Opener())
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.NotEmpty(t, failure.HintOf(err))
}

func TestADiscardedRestoreGivesSideFilesBack(t *testing.T) {
	archive, _ := enginetest.Dump(t, newEngine(), newSample(t), engine.DumpOptions{})
	src := target(t, t.TempDir(), "DELETE")
	req := replaceRequest(archive, src)
	_, err := newEngine().Stage(enginetest.Context(t), src, req, archive.Opener())
	require.NoError(t, err)
	// A worker that died while it moved them aside.
	require.NoError(t, os.WriteFile(src.Config.FilePath+".old-dddd0001-journal", []byte("kept"), 0o600))
	require.NoError(t, newEngine().Discard(enginetest.Context(t), src, req))
	require.FileExists(t, src.Config.FilePath+"-journal")
	require.NoError(t, os.Remove(src.Config.FilePath+"-journal"))
	require.Equal(t, []string{"target.db"}, files(t, src.Config.FilePath))
	_, err = newEngine().Promote(enginetest.Context(t), src, req)
	enginetest.RequireClass(t, failure.NotFound, err)
}
