package sqlite_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestADatabaseThatTheWorkerMayNotReadIsTold(t *testing.T) {
	place, err := os.MkdirTemp("", "dataguardian-unreadable-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(place)) })
	require.NoError(t, os.Chmod(place, 0o755)) //nolint:gosec // others are to get as far as the file
	path := filepath.Join(place, "guarded.db")
	db := connect(t, path)
	exec(t, db, "CREATE TABLE t (x)")
	require.NoError(t, db.Close())
	src := sourceOf(path)
	_, err = newEngine().Probe(enginetest.Context(t), src)
	require.NoError(t, err, "there is nothing else wrong with it")

	for name, test := range map[string]struct {
		path       string
		mode       os.FileMode
		says, hint string
	}{
		"the file":            {path, 0o000, "the worker's user may not read " + path, "Run the worker as the user who owns the database"},
		"the folder it is in": {place, 0o600, "permission denied", "permissions of the folders above it"},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := os.Stat(test.path)
			require.NoError(t, err)
			require.NoError(t, os.Chmod(test.path, test.mode))
			defer func() { require.NoError(t, os.Chmod(test.path, before.Mode())) }()
			for what, do := range map[string]func() error{
				"probe": func() error { _, err := newEngine().Probe(enginetest.Context(t), src); return err },
				"dump": func() error {
					_, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{})
					return err
				},
			} {
				err := asNobody(do)
				enginetest.RequireClass(t, failure.ConfigInvalid, err)
				require.ErrorContains(t, err, test.says, what)
				require.Contains(t, failure.HintOf(err), test.hint, what)
			}
		})
	}
}

// asNobody runs do on a thread without root's rights, which root's tests have too many of; the thread ends with it.
func asNobody(do func() error) error {
	const nobody = 65534
	result := make(chan error)
	go func() {
		if os.Geteuid() == 0 {
			runtime.LockOSThread() // and never unlocked: nothing else may run on it
			if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
				result <- errno
				return
			}
		}
		result <- do()
	}()
	return <-result
}
