package postgres

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// ownTemp gives the test a temporary directory of its own and returns the runtime directory in it.
func ownTemp(t *testing.T) string {
	t.Helper()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	return filepath.Join(temp, "dataguardian-"+strconv.Itoa(os.Geteuid()))
}

func newEnv(t *testing.T) *toolEnv {
	t.Helper()
	env, err := newToolEnv(engine.Source{Config: domain.ConnectionConfig{Host: "h", Port: 1, Username: "u", Password: "secret"}}, "d")
	require.NoError(t, err)
	t.Cleanup(env.remove)
	return env
}

func TestAToolsDirectoryIsBelowTheUsersOwnAndGoesAway(t *testing.T) {
	base := ownTemp(t)
	env := newEnv(t)
	require.Equal(t, base, filepath.Dir(env.dir.Path))
	require.Regexp(t, "^"+strconv.Itoa(os.Getpid())+"-", filepath.Base(env.dir.Path))
	for path, mode := range map[string]os.FileMode{base: 0o700, env.dir.Path: 0o700, filepath.Join(env.dir.Path, "pgpass"): 0o600} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
	env.remove()
	require.NoDirExists(t, env.dir.Path)
}

func TestPasswordsOfAKilledWorkerAreRemovedByTheNext(t *testing.T) {
	base := ownTemp(t)
	ours := newEnv(t)
	// A process that holds its directory as a worker does, and is killed.
	theirs := filepath.Join(base, strconv.Itoa(os.Getpid())+"-1") // the same process id, as in a container
	require.NoError(t, os.Mkdir(theirs, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(theirs, "pgpass"), []byte("secret"), 0o600))
	lock, err := os.OpenFile(filepath.Join(theirs, process.LockName), os.O_CREATE|os.O_RDWR, 0o600)
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
	worker := exec.Command("sleep", "600")
	worker.ExtraFiles = []*os.File{lock}
	require.NoError(t, worker.Start())
	t.Cleanup(func() { _ = worker.Process.Kill(); _ = worker.Wait() })
	require.NoError(t, lock.Close())

	newEnv(t)
	require.DirExists(t, theirs, "its process lives")
	require.NoError(t, worker.Process.Kill())
	_ = worker.Wait()
	newEnv(t)
	require.NoDirExists(t, theirs)
	require.FileExists(t, filepath.Join(ours.dir.Path, "pgpass"), "this process still uses it")
}

func TestADirectoryWithoutALockIsAbandonedAndOtherThingsAreNot(t *testing.T) {
	base := ownTemp(t)
	require.NoError(t, os.MkdirAll(filepath.Join(base, "4194305-77"), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(base, "other"), 0o700))
	elsewhere := t.TempDir()
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(base, "4194305-78")))
	newEnv(t)
	require.NoDirExists(t, filepath.Join(base, "4194305-77"))
	require.DirExists(t, filepath.Join(base, "other"))
	require.DirExists(t, elsewhere)
}

func TestARuntimeDirectoryThatSomebodyElsePreparedIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(t *testing.T, base string)
		says    string
	}{
		"a symbolic link": {func(t *testing.T, base string) { require.NoError(t, os.Symlink(t.TempDir(), base)) }, "is not a directory"},
		"a file":          {func(t *testing.T, base string) { require.NoError(t, os.WriteFile(base, nil, 0o600)) }, "is not a directory"},
		"a wider mode": {func(t *testing.T, base string) {
			require.NoError(t, os.Mkdir(base, 0o700))
			require.NoError(t, os.Chmod(base, 0o755))
		}, "has mode 0755"},
		"another user's": {func(t *testing.T, base string) {
			require.NoError(t, os.Mkdir(base, 0o700))
			if err := os.Chown(base, os.Geteuid()+1, -1); err != nil {
				t.Skip("only root can give a directory away")
			}
		}, "does not belong to user"},
	} {
		t.Run(name, func(t *testing.T) {
			base := ownTemp(t)
			test.prepare(t, base)
			_, err := newToolEnv(engine.Source{Config: domain.ConnectionConfig{Password: "secret"}}, "d")
			require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err))
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, failure.Message(err), "secret")
		})
	}
}
