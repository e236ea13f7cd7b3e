package local

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/storage"
)

var _ storage.Volumer = (*Store)(nil)

// Volume is the id of the file system that holds the root, with the root's path and inode: a bare mount
// point has another inode than what is mounted there, also when both are on one file system. A file
// system without an id (NFS) has no name that no other one gets.
func (s *Store) Volume(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	var system unix.Statfs_t
	if err := unix.Fstatfs(int(s.dir.Fd()), &system); err != nil {
		return "", classify("name the volume", s.root.Name(), os.NewSyscallError("fstatfs", err))
	}
	var root unix.Stat_t
	if err := unix.Fstat(int(s.dir.Fd()), &root); err != nil {
		return "", classify("name the volume", s.root.Name(), os.NewSyscallError("fstat", err))
	}
	if system.Fsid.Val == [2]int32{} {
		return "", nil
	}
	id := fmt.Sprintf("%08x%08x", uint32(system.Fsid.Val[0]), uint32(system.Fsid.Val[1])) //nolint:gosec // bits
	return fmt.Sprintf("local:%s:%d:%s", id, root.Ino, s.root.Name()), nil
}
