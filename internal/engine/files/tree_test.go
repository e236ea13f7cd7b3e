package files_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/files"
)

// latin1 is a name that is not UTF-8.
const latin1 = "caf\xe9 \xff.txt"

func source(path string) engine.Source {
	return engine.Source{Name: "tree", Type: domain.Files, Config: domain.ConnectionConfig{SourcePath: path}}
}

// write makes a file with its directories.
func write(t testing.TB, root, name, content string) string {
	t.Helper()
	path := filepath.Join(root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))     //nolint:gosec // a tree to back up
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644)) //nolint:gosec // as above
	return path
}

func random(seed uint64, size int) string {
	r, data := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}), make([]byte, size)
	_, _ = r.Read(data)
	return string(data)
}

// newTree is a directory with an entry of every sort.
func newTree(t testing.TB) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "source")
	require.NoError(t, os.Mkdir(root, 0o750))
	write(t, root, "empty", "")
	write(t, root, "a/b/c/deep.txt", "deep down")
	write(t, root, "a.txt", "sorts between the directory a and what is in it")
	write(t, root, "a/large.bin", random(1, 3<<20+17))
	write(t, root, "a/"+latin1, "a name that is not UTF-8")
	write(t, root, "ünïcode/文件", "a name that is")
	write(t, root, "new\nline", "a name with a line break")
	long := "a-very-long-name-" + fmt.Sprintf("%0200d", 7)
	write(t, root, filepath.Join(long, long, "x"), "a path that ustar can not hold")
	for i := range 300 {
		write(t, root, fmt.Sprintf("many/%02d/%03d", i%7, i), random(uint64(i), 1000+i*37))
	}
	require.NoError(t, os.Mkdir(filepath.Join(root, "nothing"), 0o700))
	require.NoError(t, os.Symlink("../a.txt", filepath.Join(root, "a/relative")))
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(root, "absolute")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(root, "dangling")))
	require.NoError(t, os.Link(filepath.Join(root, "a.txt"), filepath.Join(root, "many/hard")))
	require.NoError(t, os.Link(filepath.Join(root, "a/large.bin"), filepath.Join(root, "z-hard")))
	sparse(t, filepath.Join(root, "sparse"), 5<<20, 1<<20, 4<<20)
	sparse(t, filepath.Join(root, "all-hole"), 2<<20)
	secret := write(t, root, "secret", "of nobody else")
	require.NoError(t, unix.Setxattr(secret, "user.colour", []byte("red\x00\x01=\n"), 0))
	require.NoError(t, unix.Setxattr(filepath.Join(root, "a"), "user.dir", []byte("yes"), 0))
	// A POSIX access control list: rw for user 1234.
	require.NoError(t, unix.Setxattr(secret, "system.posix_acl_access", []byte("\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x06\x00\xd2\x04\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x06\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff"), 0))
	setuid := write(t, root, "setuid", "runs as somebody")
	if os.Geteuid() == 0 {
		require.NoError(t, os.Lchown(setuid, 4321, 8765))
		require.NoError(t, os.Lchown(filepath.Join(root, "dangling"), 4321, 3_000_000_000))
		require.NoError(t, os.Chown(filepath.Join(root, "nothing"), 3_000_000_000, 7))
	}
	require.NoError(t, unix.Chmod(setuid, 0o4755))
	require.NoError(t, unix.Chmod(filepath.Join(root, "nothing"), 0o1777))
	old := time.Unix(1_000_000_000, 123_456_789)
	require.NoError(t, os.Chtimes(filepath.Join(root, "a.txt"), old, old))
	before := time.Unix(-1_000, 0)
	require.NoError(t, os.Chtimes(filepath.Join(root, "empty"), before, before))
	readOnly := write(t, root, "read-only/file", "in a directory that can not be written to")
	require.NoError(t, os.Chmod(filepath.Dir(readOnly), 0o555)) //nolint:gosec // a case
	require.NoError(t, os.Chtimes(root, old, old))
	t.Cleanup(func() { _ = os.Chmod(filepath.Dir(readOnly), 0o755) }) //nolint:gosec // so that it can be removed
	return root
}

// sparse makes a file of a size with a block of data at some offsets.
func sparse(t testing.TB, path string, size int64, data ...int64) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(size))
	for _, at := range data {
		_, err := f.WriteAt([]byte(random(uint64(at), 4096)), at)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
}

// node is all that a backup keeps of an entry.
type node struct {
	Mode     uint32
	UID, GID uint32
	Size     int64
	MTime    int64
	Link     string
	Content  string
	Names    uint64 // of the file
	Sparse   bool
	Xattrs   map[string]string
}

// content is everything below a directory.
func content(t testing.TB, root string) map[string]node {
	t.Helper()
	all := map[string]node{}
	require.NoError(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		require.NoError(t, err)
		var st unix.Stat_t
		require.NoError(t, unix.Lstat(path, &st))
		n := node{Mode: st.Mode, UID: st.Uid, GID: st.Gid, MTime: st.Mtim.Nano(), Xattrs: map[string]string{}}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			data, err := os.ReadFile(path) //nolint:gosec // a test's own
			require.NoError(t, err)
			n.Size, n.Content, n.Names = st.Size, fmt.Sprintf("%x", sha256.Sum256(data)), uint64(st.Nlink) //nolint:unconvert // differs by architecture
			n.Sparse = st.Blocks*512 < st.Size
		case unix.S_IFLNK:
			n.Link, err = os.Readlink(path)
			require.NoError(t, err)
		}
		names := make([]byte, 4096)
		size, err := unix.Llistxattr(path, names)
		require.NoError(t, err)
		for _, name := range split(names[:size]) {
			value := make([]byte, 4096)
			size, err := unix.Lgetxattr(path, name, value)
			require.NoError(t, err)
			if name != "user.dataguardian.restore" {
				n.Xattrs[name] = string(value[:size])
			}
		}
		relative, err := filepath.Rel(root, path)
		require.NoError(t, err)
		all[relative] = n
		return nil
	}))
	return all
}

func split(list []byte) (names []string) {
	for begin, i := 0, 0; i < len(list); i++ {
		if list[i] == 0 {
			names = append(names, string(list[begin:i]))
			begin = i + 1
		}
	}
	return names
}

// tick lets the clock of the file system tick on, so that what follows has another time than what is there.
func tick() { time.Sleep(30 * time.Millisecond) }

// backup is a dump in memory, with the ranges of segments.
type backup struct {
	enginetest.Archive
	report   engine.Report
	segments map[engine.Range]bool // of the tar stream
	read     int64                 // bytes of the tar stream that were not the base's
}

// dump backs a tree up, on top of a base if there is one. The clock of the file system ticks before.
func dump(t testing.TB, src engine.Source, base *backup) *backup {
	t.Helper()
	tick()
	b, err := tryDump(context.Background(), src, base)
	require.NoError(t, err)
	return b
}

var _ = files.New
