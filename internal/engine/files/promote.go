package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Promote gives the staging the target's name: in one step where the file system can exchange two names,
// else in two, the first of which moves the target aside. What the target was is removed after that. A
// staging of some paths is moved into the target file by file; see merge.
func (e *Engine) Promote(ctx context.Context, _ engine.Source, req engine.StageRequest) ([]string, error) {
	if req.Scratch {
		return nil, failure.New(failure.ConfigInvalid, "promote a restore", "it is a verification, which replaces nothing", "")
	}
	n, err := e.namesOf(req)
	if err != nil {
		return nil, err
	}
	if exists(n.inside) {
		return n.merge(ctx, req)
	}
	switch {
	case n.marked(n.target): // done; what it replaced may still be there
	case n.marked(n.beside):
		if err := n.check(req); err != nil {
			return nil, err
		}
		if err := n.swap(); err != nil {
			return nil, err
		}
	default:
		return nil, failure.New(failure.NotFound, "promote a restore", "there is no finished staging "+n.beside, "Start the restore again.")
	}
	return n.removeReplaced(ctx)
}

// swap exchanges staging and target.
func (n names) swap() error {
	op := "give " + n.beside + " the name " + n.target
	if !exists(n.target) {
		return n.durable(op, n.renameat2(unix.AT_FDCWD, n.beside, unix.AT_FDCWD, n.target, unix.RENAME_NOREPLACE), func() error {
			return os.Rename(n.beside, n.target)
		})
	}
	if exists(n.old) {
		return n.madeAgain(op)
	}
	return n.durable(op, n.renameat2(unix.AT_FDCWD, n.beside, unix.AT_FDCWD, n.target, unix.RENAME_EXCHANGE), func() error {
		if err := os.Rename(n.target, n.old); err != nil {
			return err
		}
		err := os.Rename(n.beside, n.target)
		if err != nil {
			err = errors.Join(err, os.Rename(n.old, n.target))
		}
		return err
	})
}

// durable does it in plain steps if the file system can not in one, and makes the new names durable.
func (n names) durable(op string, err error, plain func() error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		err = plain()
	}
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EXDEV) {
		return failure.Wrap(failure.ConfigInvalid, op, err, "Something is mounted there. Restore to a directory in it.")
	}
	if err == nil {
		err = syncDirectory(filepath.Dir(n.target))
	}
	return classify(op, err)
}

func syncDirectory(path string) error {
	d, err := os.Open(path) //nolint:gosec // the operator's own
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}

// removeReplaced removes what the target was. The restore has succeeded, so no error of it is one.
func (n names) removeReplaced(ctx context.Context) (warnings []string, err error) {
	for _, path := range []string{n.beside, n.old} {
		if !exists(path) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := removeTree(path); err != nil {
			warnings = append(warnings, fmt.Sprintf("%s holds the restored files, but what it replaced is still there as %s: remove it by hand. The reason: %v", n.target, path, err))
		}
	}
	return warnings, nil
}

// Discard removes the staging. After Promote it touches nothing but what the target was. What the target was
// before a swap that stopped half way gets its name back; see giveBack.
func (e *Engine) Discard(_ context.Context, _ engine.Source, req engine.StageRequest) error {
	n, err := e.namesOf(req)
	if err != nil {
		return err
	}
	return n.discard()
}

func (n names) discard() error {
	remove := []string{n.beside, n.inside, n.old}
	done := n.target != "" && n.marked(n.target)
	if !done {
		if err := n.giveBack(); err != nil {
			return err
		}
		remove = remove[:2]
	}
	for _, path := range remove {
		if path != "" {
			if err := removeTree(path); err != nil && !errors.Is(err, unix.ENOTDIR) {
				return classify("remove "+path, err)
			}
		}
	}
	// A mark in a file says of a directory that has the target's name that the restore is done: it stays.
	if !done {
		n.unmark()
	}
	return nil
}

// giveBack renames what the target was when a swap has moved it aside and the staging did not take its
// place. Where an empty directory was made in its place since, that is replaced; anything else, and what the
// target was, are both kept: nobody but the operator knows which is wanted.
func (n names) giveBack() error {
	for _, was := range []string{n.old, n.beside} {
		if n.target == "" || !exists(was) || (was == n.beside && !n.replaced(was)) {
			continue
		}
		op := "give " + was + " its name back"
		err := unix.Rename(was, n.target)
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOTDIR) {
			return n.madeAgain(op)
		}
		if err == nil {
			err = syncDirectory(filepath.Dir(n.target))
		}
		if err != nil {
			return classify(op, err)
		}
	}
	return nil
}

// madeAgain is a target that somebody made while the one that was there is kept under another name.
func (n names) madeAgain(op string) error {
	return failure.New(failure.ConfigInvalid, op, "something made "+n.target+" again while the restore was about to replace it",
		"Nothing was removed. What the target held before the restore is beside it, in a directory whose name begins with "+filepath.Base(n.beside)+
			": move what you want to "+n.target+", remove the rest, and start the restore again.")
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
