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

// mark sets it. Where the file system has no attributes a small file beside the staging names the
// directory by its inode.
func (n names) mark(directory string) error {
	err := unix.Setxattr(directory, markAttribute, []byte(n.token), 0)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		var id string
		if id, err = inodeOf(directory); err == nil {
			err = os.WriteFile(n.markFile(), []byte(id), 0o600)
		}
	}
	return classify("mark "+directory, err)
}

// marked reports whether mark was called for the directory, under whatever name it had.
func (n names) marked(directory string) bool {
	var value [64]byte
	if size, err := unix.Lgetxattr(directory, markAttribute, value[:]); err == nil {
		return string(value[:size]) == n.token
	}
	id, err := inodeOf(directory)
	content, readErr := os.ReadFile(n.markFile())
	return err == nil && readErr == nil && string(content) == id
}

func (n names) unmark() { _ = os.Remove(n.markFile()) }

func inodeOf(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino), nil
}
