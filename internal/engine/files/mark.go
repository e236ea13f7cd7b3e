package files

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// markAttribute says of a directory which restore has finished in it: what is staged is whole, and what
// has the target's name is what that restore put there. It is never backed up.
const markAttribute = "user.dataguardian.restore"

// begun follows the token in the mark of a staging that is not whole yet. Without one, what has a staging's
// name is what the target was before the two exchanged names.
const begun = ":begun"

// mark says that the restore has finished in a directory, markBegun that the directory is its own.
func (n names) mark(directory string) error      { return n.setMark(directory, "") }
func (n names) markBegun(directory string) error { return n.setMark(directory, begun) }

// setMark sets the attribute. Where the file system has none a small file beside the staging names the
// directory by its inode.
func (n names) setMark(directory, state string) error {
	err := unix.Setxattr(directory, markAttribute, []byte(n.token+state), 0)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		var id string
		if id, err = inodeOf(directory); err == nil {
			err = os.WriteFile(n.markFile(), []byte(id+state), 0o600)
		}
	}
	return classify("mark "+directory, err)
}

// marked reports whether mark was called for the directory, under whatever name it had.
func (n names) marked(directory string) bool { return n.hasMark(directory, "") }

func (n names) hasMark(directory, state string) bool {
	var value [128]byte
	if size, err := unix.Lgetxattr(directory, markAttribute, value[:]); err == nil && string(value[:size]) == n.token+state {
		return true
	}
	// A directory that was restored read-only may keep the attribute of its beginning.
	id, err := inodeOf(directory)
	content, readErr := os.ReadFile(n.markFile())
	return err == nil && readErr == nil && string(content) == id+state
}

// replaced reports whether a directory with the staging's name is what the target was.
func (n names) replaced(directory string) bool {
	if n.hasMark(directory, begun) || n.marked(directory) {
		return false
	}
	empty, err := isEmpty(directory) // a staging whose maker died before it could mark it
	return err == nil && !empty
}

func (n names) unmark() { _ = os.Remove(n.markFile()) }

func inodeOf(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino), nil
}
