// Package files backs directories up: a tar stream that GNU tar reads, and beside it an index that says
// where in it each file is, so that a later backup reads only what changed and a restore only what is
// asked for. docs/decisions/0024-files.md says why it is built so, docs/format.md what it stores.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// The streams of a backup and their formats.
const (
	tarStream   = "files.tar"
	tarFormat   = "files-tar"
	indexStream = "files.index"
	indexFormat = "files-index-1"
)

// Options configures the engine.
type Options struct {
	// ScratchDir is where a verification restores to; "" is the system's directory for temporary files.
	ScratchDir string
}

// Engine is the engine of directories.
type Engine struct {
	opts Options
	// renameat2 exchanges names in one step; a test has it refuse as some file systems do.
	renameat2 func(olddir int, from string, newdir int, to string, flags uint) error
}

var (
	_ engine.Engine        = (*Engine)(nil)
	_ engine.Stager        = (*Engine)(nil)
	_ engine.Describer     = (*Engine)(nil)
	_ engine.Browser       = (*Engine)(nil)
	_ engine.StreamChecker = (*Engine)(nil)
)

// New returns the engine.
func New(opts Options) *Engine {
	if opts.ScratchDir == "" {
		opts.ScratchDir = os.TempDir()
	}
	return &Engine{opts: opts, renameat2: unix.Renameat2}
}

// Type is the datasource type this engine serves.
func (*Engine) Type() domain.DatasourceType { return domain.Files }

// Probe reads the directory, and tells kernel and file system as the version.
func (*Engine) Probe(_ context.Context, src engine.Source) (engine.Info, error) {
	started := time.Now()
	root, err := openRoot(src)
	if err != nil {
		return engine.Info{}, err
	}
	defer func() { _ = root.Close() }()
	if _, err := root.Readdirnames(1); err != nil && !errors.Is(err, io.EOF) {
		return engine.Info{}, classify("read directory "+src.Config.SourcePath, err)
	}
	return engine.Info{Version: systemVersion(int(root.Fd())), Latency: time.Since(started)}, nil
}

// Estimate is what the file system of the directory holds, when that is the directory itself, and
// otherwise the size of what a bounded walk sees.
func (*Engine) Estimate(ctx context.Context, src engine.Source) (engine.Estimate, error) {
	root, err := openRoot(src)
	if err != nil {
		return engine.Estimate{}, err
	}
	_ = root.Close()
	var total int64 = 1
	deadline := time.Now().Add(estimateTime)
	seen := 0
	// Broad first: the top of a tree tells more of it than its first corner.
	queue := []string{src.Config.SourcePath}
	for len(queue) > 0 && ctx.Err() == nil && time.Now().Before(deadline) {
		entries, _ := os.ReadDir(queue[0]) // what can not be read is told by the dump
		for _, entry := range entries {
			if seen++; seen > estimateFiles {
				// The rest is at least as much again; it only steers the size of chunks.
				return engine.Estimate{Bytes: 2 * total}, nil
			}
			if entry.IsDir() {
				queue = append(queue, filepath.Join(queue[0], entry.Name()))
			} else if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
				total += min(info.Size(), onDisk(info))
			}
		}
		queue = queue[1:]
	}
	return engine.Estimate{Bytes: total}, ctx.Err()
}

const (
	estimateTime  = 200 * time.Millisecond
	estimateFiles = 5_000
)

// openRoot opens the directory that is backed up.
func openRoot(src engine.Source) (*os.File, error) {
	path := src.Config.SourcePath
	root, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	return root, classify("open directory "+path, err)
}

// classify tells what kind of trouble an error of the file system is.
func classify(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrNotExist):
		return failure.Wrap(failure.NotFound, op, err, "Check the path, and that the file system it is on is mounted on every worker of the pool.")
	case errors.Is(err, os.ErrPermission), errors.Is(err, unix.EROFS):
		return failure.Wrap(failure.AuthFailed, op, err, "Give the user that the worker runs as the rights, or run a worker as another user in a pool of its own.")
	case errors.Is(err, unix.ENOTDIR):
		return failure.Wrap(failure.ConfigInvalid, op, err, "Name a directory; its parent is one for a single file, with include_patterns.")
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return failure.Wrap(failure.StorageFull, op, err, "Make room on the file system of the target. What was there before is untouched.")
	}
	return failure.Wrap(failure.ClassOf(err), op, err, "")
}

// systemVersion is the kernel and the type of a file system.
func systemVersion(fd int) string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return "unknown"
	}
	version := unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil {
		return version
	}
	kinds := map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
		unix.NFS_SUPER_MAGIC: "nfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", 0x2fc12fc1: "zfs", 0xff534d42: "cifs", unix.FUSE_SUPER_MAGIC: "fuse",
	}
	if kind := kinds[fs.Type]; kind != "" {
		return version + ", " + kind
	}
	return fmt.Sprintf("%s, file system %#x", version, fs.Type)
}

// CheckStreams wants the tar and its index.
func (*Engine) CheckStreams(streams []engine.Stream) error {
	found := map[string]string{}
	for _, s := range streams {
		found[s.Name] = s.Format
	}
	if found[tarStream] != tarFormat {
		return failure.New(failure.Corrupt, "look at the streams", "there is no stream "+tarStream+" of files", "Use another backup.")
	}
	switch found[indexStream] {
	case indexFormat:
		return nil
	case "":
		return failure.New(failure.Corrupt, "look at the streams", "there is no stream "+indexStream, "Use another backup, or read the tar stream by hand: see docs/format.md.")
	}
	return failure.New(failure.Unsupported, "look at the streams", "the index has format "+found[indexStream]+", which this version does not read", "Restore with the version that made the backup, or a later one.")
}
