package standalone

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// lockDataDir makes the data directory and holds it for this process. The lock goes away with the
// process, however that ends; the text in it only says who it was.
func lockDataDir(dir string) (unlock func(), err error) {
	const op = "use the data directory"
	// Root's directory can be entered by the user that runs Postgres; every file in it that is not
	// for everybody has a mode of its own.
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, op, err, "Give another one with --data-dir.")
	}
	path := filepath.Join(dir, "lock")
	lock := flock.New(path, flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, op, err, "Give a directory that this user may write with --data-dir.")
	}
	if !held {
		holder, _ := os.ReadFile(path) // without it the message is only less exact
		return nil, failure.New(failure.ConfigInvalid, op,
			fmt.Sprintf("%s is in use by %s", dir, describeHolder(string(holder))),
			"Stop that process, or give another directory with --data-dir.")
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, "process %d\n", os.Getpid()), 0o600); err != nil {
		_ = lock.Unlock()
		return nil, failure.Wrap(failure.ConfigInvalid, op, err, "")
	}
	return func() { _ = lock.Unlock() }, nil
}

func describeHolder(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return "another dataguardian"
	}
	return "another dataguardian, " + text
}
