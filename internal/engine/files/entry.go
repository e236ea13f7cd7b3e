package files

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// kind is the type of an entry.
type kind uint8

const (
	kindFile kind = iota + 1
	kindDir
	kindSymlink
	kindHardlink // to a file that comes earlier in the walk
	kindGone     // in an index only: nothing, of which a pack holds an older version all the same
)

// entry is one file, directory or link of a tree. A tree of n entries takes about 200 bytes each in memory.
type entry struct {
	dir      *directory // that it is in; nil for the root itself
	name     string
	link     string // of a symlink, or the path of the entry that a hard link is another name of
	kind     kind
	flags    uint8
	mode     uint32 // permission bits, with setuid, setgid and sticky
	uid, gid uint32
	size     int64
	mtime    int64 // ns since 1970
	ctime    int64
	inode    uint64
	device   uint64
	xattrs   uint64 // hash of its extended attributes, 0 if it has none
	blocks   int64  // of 512 bytes on the disk; not stored

	place place
	stale []int32 // packs that hold older versions of it; a tar that is extracted in order replaces them
}

// Flags of an entry.
const (
	flagSparse  = 1 << iota // its data has a sparse map
	flagSuspect             // it changed while it was read: the next backup reads it again
)

// place is where an entry is in the tar stream.
type place struct {
	pack   int32 // number of the pack; -1 is nowhere
	header int32 // bytes of its headers
	offset int64 // of its headers, from the beginning of the pack
	data   int64 // bytes behind the headers, without the padding
}

// length is what an entry takes of the tar stream, padding included.
func (p place) length() int64 { return int64(p.header) + padded(p.data) }

// directory is a directory as the entries in it see it.
type directory struct {
	path string // "" for the root, else ends in a slash
}

// path is the entry's path from the root, "." for the root itself.
func (e *entry) path() string {
	if e.dir == nil {
		return "."
	}
	return e.dir.path + e.name
}

// same reports whether the file system says nothing of a change since the entry was backed up. The number
// of its device is not asked: it may be another one each time that something is mounted.
func (e *entry) same(old *entry) bool {
	return e.kind == old.kind && e.size == old.size && e.mtime == old.mtime && e.ctime == old.ctime && e.inode == old.inode &&
		e.mode == old.mode && e.uid == old.uid && e.gid == old.gid && e.link == old.link && old.flags&flagSuspect == 0
}

// fill takes what stat says. The kind of a hard link is found by who knows the other names.
func (e *entry) fill(st *unix.Stat_t) {
	e.mode, e.uid, e.gid = st.Mode&0o7777, st.Uid, st.Gid
	e.mtime, e.ctime = st.Mtim.Nano(), st.Ctim.Nano()
	e.inode, e.device, e.blocks = st.Ino, st.Dev, st.Blocks
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.kind, e.size = kindFile, st.Size
	case unix.S_IFDIR:
		e.kind = kindDir
	case unix.S_IFLNK:
		e.kind = kindSymlink
	}
}

// comparePaths orders paths as the walk does: a directory comes before what is in it, and that before
// its next sibling.
func comparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		switch {
		case x == '/':
			return -1
		case y == '/':
			return 1
		case x < y:
			return -1
		}
		return 1
	}
	return len(a) - len(b)
}

// onDisk is how many bytes of the disk a file takes.
func onDisk(info os.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}

const blockSize = 512 // of tar

// padded is n rounded up to whole blocks of tar.
func padded(n int64) int64 { return (n + blockSize - 1) &^ (blockSize - 1) }
