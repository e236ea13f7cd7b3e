package files

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// merge moves what is staged inside the target to its places there. Every file replaces the one of its
// name in one step; what the target has besides stays. Directories that are there keep their owner and
// mode. It goes on where a crash stopped it. The target may be written to by others: an os.Root keeps
// every step below it, and a link in the way is refused.
func (n names) merge(ctx context.Context, req engine.StageRequest) ([]string, error) {
	op := "move the restored files into " + n.target
	if !n.marked(n.target) {
		if !n.marked(n.inside) {
			return nil, failure.New(failure.NotFound, "promote a restore", "there is no finished staging "+n.inside, "Start the restore again.")
		}
		target, err := os.OpenRoot(n.target)
		if err != nil {
			return nil, classify(op, err)
		}
		defer func() { _ = target.Close() }()
		m := &merger{target: target, staging: filepath.Base(n.inside), drop: req.DropExisting}
		for _, step := range []func(string, fs.FileInfo) error{m.refuse, m.move} {
			if err := target.Chmod(m.staging, 0o700); err != nil {
				return nil, classify(op, err)
			}
			if err := m.each(ctx, ".", step); err != nil {
				return nil, classify(op, err)
			}
		}
		if err := m.sync(); err != nil {
			return nil, classify(op, err)
		}
		if err := n.mark(n.target); err != nil {
			return nil, err
		}
	}
	if err := removeTree(n.inside); err != nil {
		return []string{"the files are restored, but an empty directory is left and can be removed: " + n.inside}, nil //nolint:nilerr // told so
	}
	return nil, nil
}

type merger struct {
	target  *os.Root
	staging string // name of the staging in the target
	drop    bool
}

// each calls step for what is staged, directories before what is in them.
func (m *merger) each(ctx context.Context, directory string, step func(string, fs.FileInfo) error) error {
	d, err := m.target.Open(path.Join(m.staging, directory))
	if err != nil {
		return err
	}
	entries, err := d.Readdir(-1)
	_ = d.Close()
	if err != nil {
		return err
	}
	for _, info := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := path.Join(directory, info.Name())
		if err := step(name, info); err != nil {
			return err
		}
		// A directory that was moved whole is not there any more.
		if info.IsDir() {
			if err := m.each(ctx, name, step); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// refuse finds what is in the way before anything is moved.
func (m *merger) refuse(name string, info fs.FileInfo) error {
	there, err := m.target.Lstat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	problem := ""
	writes := func() error { return unix.Access(filepath.Join(m.target.Name(), name), unix.W_OK|unix.X_OK) }
	switch {
	case info.IsDir() && there.Mode()&os.ModeSymlink != 0:
		problem = "it is a symbolic link in the target, and a directory in the backup"
	case info.IsDir() != there.IsDir():
		problem = "it is a directory on one side and a file on the other"
	case !info.IsDir() && !m.drop && !os.SameFile(info, there):
		problem = "it is there already"
	case info.IsDir() && writes() != nil:
		problem = "the directory can not be written to"
	}
	if problem == "" {
		return nil
	}
	return failure.New(failure.ConfigInvalid, "look at "+printable(name), problem, "Remove it from the target or set drop_existing for files; nothing was changed.")
}

// move gives one file its place, or a whole directory that the target does not have.
func (m *merger) move(name string, info fs.FileInfo) error {
	if strings.HasPrefix(name, stagingPrefix) {
		return nil
	}
	from := path.Join(m.staging, name)
	if info.IsDir() {
		_, err := m.target.Lstat(name)
		if err == nil { // it stays, and what is staged in its place is emptied
			return m.target.Chmod(from, 0o700)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	// A directory that may not be written to can not be moved: its entry for its parent changes.
	if info.IsDir() && info.Mode().Perm()&0o200 == 0 && os.Geteuid() != 0 {
		if err := m.target.Chmod(from, info.Mode().Perm()|0o200); err != nil {
			return err
		}
		if err := m.target.Rename(from, name); err != nil {
			return err
		}
		return m.target.Chmod(name, info.Mode().Perm())
	}
	return m.target.Rename(from, name)
}

func (m *merger) sync() error {
	d, err := m.target.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return unix.Syncfs(int(d.Fd()))
}
