package files

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// extraction writes entries below a new directory that nobody else can enter. Directories come first,
// then files, then hard links, and symbolic links last: while anything is written there is no link below
// the root that a path could lead through, and the index has no path that leads out of it.
type extraction struct {
	root     *os.File
	chosen   *chosen
	jobs     int
	warnings warnings
	count    int

	asRoot      bool
	uid, gid    uint32
	masked      uint32     // mode bits that a new file does not get
	remembering sync.Mutex // guards attributes
	attributes  map[*entry]map[string]string
	tar         io.ReadCloser
	at          int64  // of tar
	spare       []byte // to copy large files
}

// span is what is read at once: files that are close to each other.
type span struct {
	begin, end int64
	entries    []*entry
}

const (
	spanBytes = 2 << 20   // of a span
	spanGap   = 64 << 10  // that is read over within one
	skipBytes = 16 << 20  // that are read over rather than opening the stream again
	copyBytes = 512 << 10 // of a buffer
)

func newExtraction(root *os.File, c *chosen, jobs int) *extraction {
	return &extraction{
		root: root, chosen: c, jobs: jobs, asRoot: os.Geteuid() == 0, uid: uint32(os.Geteuid()), gid: uint32(os.Getegid()), //nolint:gosec // ids
		attributes: map[*entry]map[string]string{},
	}
}

func (x *extraction) run(ctx context.Context, open engine.Opener) error {
	if err := x.probeMask(); err != nil {
		return err
	}
	if !x.asRoot {
		for _, e := range x.chosen.entries {
			if e.uid != x.uid || e.gid != x.gid {
				x.warnings.add(".", "owners were not restored, because the worker does not run as root")
				break
			}
		}
	}
	for _, e := range x.chosen.entries {
		if e.name != "." {
			x.count++
		}
		if e.kind == kindDir && e.name != "." {
			if err := unix.Mkdirat(x.fd(), e.name, 0o700); err != nil {
				return x.failed("make", e, err)
			}
		}
	}
	if err := x.files(ctx, open); err != nil {
		return err
	}
	return x.links(ctx)
}

func (x *extraction) fd() int { return int(x.root.Fd()) }

func (x *extraction) failed(what string, e *entry, err error) error {
	return classify(what+" "+printable(e.name), err)
}

// probeMask finds the mode bits that the umask takes from new files, so that most need no chmod.
func (x *extraction) probeMask() error {
	const name = ".probe"
	fd, err := unix.Openat(x.fd(), name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o777)
	if err != nil {
		return classify("write to the staging", err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	x.masked, x.gid = 0o777&^st.Mode, st.Gid
	_ = unix.Close(fd)
	return classify("write to the staging", errors.Join(err, unix.Unlinkat(x.fd(), name, 0)))
}

// files writes all files, in the order in which they are stored.
func (x *extraction) files(ctx context.Context, open engine.Opener) error {
	defer func() {
		if x.tar != nil {
			_ = x.tar.Close()
		}
	}()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(x.jobs + 1)
	buffers := make(chan []byte, x.jobs+1)
	for range x.jobs + 1 {
		buffers <- nil
	}
	list := x.chosen.byPlace()
	var failed error
	for len(list) > 0 && failed == nil {
		if e := list[0]; e.kind == kindFile && e.place.data >= largeBytes || e.flags&flagSparse != 0 {
			failed = x.large(ctx, open, e)
			list = list[1:]
			continue
		}
		var s span
		if s, list = x.nextSpan(list); s.end < s.begin {
			failed = corruptPlace(s.entries[0])
			break
		}
		var buffer []byte
		select {
		case buffer = <-buffers:
		case <-ctx.Done():
			failed = ctx.Err()
			continue
		}
		if buffer, failed = x.read(ctx, open, s, buffer); failed != nil {
			break
		}
		group.Go(func() error {
			err := x.writeSpan(s, buffer)
			buffers <- buffer
			return err
		})
	}
	if failed == nil && x.chosen.all { // what is behind the last file is part of the backup, and damage is damage
		if failed = x.seek(ctx, open, x.end()); failed == nil {
			_, failed = io.Copy(io.Discard, x.tar)
		}
	}
	// What a goroutine met comes first: the reader only saw the context end.
	if err := group.Wait(); err != nil {
		return err
	}
	return failed
}

func corruptPlace(e *entry) error {
	return failure.New(failure.Corrupt, "restore files", printable(e.name)+" is not where the index says", "Use another backup.")
}

// nextSpan takes the files from the list that are read together.
func (x *extraction) nextSpan(list []*entry) (span, []*entry) {
	begin := x.chosen.offset(list[0])
	s := span{begin: begin, end: begin}
	for len(list) > 0 {
		e := list[0]
		offset := x.chosen.offset(e)
		end := offset + e.place.length()
		large := e.kind == kindFile && e.place.data >= largeBytes || e.flags&flagSparse != 0
		if len(s.entries) > 0 && (large || offset-s.end > spanGap || end-s.begin > spanBytes) {
			break
		}
		if offset < s.end { // two entries share bytes: no writer does that
			return span{begin: 1, entries: list[:1]}, nil
		}
		s.end, s.entries, list = end, append(s.entries, e), list[1:]
	}
	return s, list
}

// seek brings the tar stream to an offset.
func (x *extraction) seek(ctx context.Context, open engine.Opener, offset int64) error {
	if x.tar != nil && offset >= x.at && offset-x.at <= skipBytes {
		_, err := io.CopyN(io.Discard, x.tar, offset-x.at)
		x.at = offset
		return cut(err)
	}
	if x.tar != nil {
		_ = x.tar.Close()
		x.tar = nil
	}
	stream, err := open(ctx, tarStream, offset)
	if err != nil {
		return err
	}
	x.tar, x.at = stream, offset
	return nil
}

// end is where the end of the archive is marked.
func (x *extraction) end() int64 {
	if n := len(x.chosen.packs); n > 0 {
		return x.chosen.packs[n-1].offset + x.chosen.packs[n-1].bytes
	}
	return 0
}

// cut makes an end of the stream that comes too early a damage of the backup.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return failure.Wrap(failure.Corrupt, "read "+tarStream, io.ErrUnexpectedEOF, "Use another backup.")
	}
	return err
}

func (x *extraction) read(ctx context.Context, open engine.Opener, s span, buffer []byte) ([]byte, error) {
	if err := x.seek(ctx, open, s.begin); err != nil {
		return nil, err
	}
	size := int(s.end - s.begin)
	if cap(buffer) < size {
		buffer = make([]byte, max(size, packBytes+packBytes/2))
	}
	n, err := io.ReadFull(x.tar, buffer[:size])
	x.at += int64(n)
	return buffer[:size], cut(err)
}

func (x *extraction) writeSpan(s span, data []byte) error {
	for _, e := range s.entries {
		at := x.chosen.offset(e) - s.begin
		header, content := data[at:at+int64(e.place.header)], data[at+int64(e.place.header):]
		attributes, err := attributesIn(header, e)
		if err != nil {
			return err
		}
		if e.kind != kindFile {
			x.remember(e, attributes)
			continue
		}
		if e.place.data != e.size {
			return corruptPlace(e)
		}
		if err := x.writeFile(e, attributes, bytes.NewReader(content[:e.size]), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// attributesIn reads the extended attributes from the headers of an entry that has any.
func attributesIn(header []byte, e *entry) (map[string]string, error) {
	if e.xattrs == 0 {
		return nil, nil
	}
	h, err := tar.NewReader(bytes.NewReader(header)).Next()
	if err != nil && h == nil {
		return nil, failure.Wrap(failure.Corrupt, "read the tar header of "+printable(e.name), cut(err), "Use another backup.")
	}
	attributes := map[string]string{}
	for name, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(name, "SCHILY.xattr."); ok {
			attributes[name] = value
		}
	}
	return attributes, nil
}

// large streams a file that does not fit into a span.
func (x *extraction) large(ctx context.Context, open engine.Opener, e *entry) error {
	if err := x.seek(ctx, open, x.chosen.offset(e)); err != nil {
		return err
	}
	header := make([]byte, e.place.header)
	if _, err := io.ReadFull(x.tar, header); err != nil {
		return cut(err)
	}
	content := io.LimitReader(x.tar, e.place.data)
	var sparse *sparseMap
	var attributes map[string]string
	var err error
	if e.flags&flagSparse != 0 {
		// Package tar wants the map behind the header.
		var text bytes.Buffer
		if sparse, err = parseSparse(io.TeeReader(content, &text), e.size, e.place.data); err != nil {
			return failure.Wrap(failure.Corrupt, "read the sparse map of "+printable(e.name), cut(err), "Use another backup.")
		}
		attributes, err = attributesIn(slices.Concat(header, text.Bytes()), e)
	} else {
		if e.place.data != e.size {
			return corruptPlace(e)
		}
		attributes, err = attributesIn(header, e)
	}
	if err != nil {
		return err
	}
	if x.spare == nil {
		x.spare = make([]byte, copyBytes)
	}
	if err := x.writeFile(e, attributes, content, sparse, x.spare); err != nil {
		return err
	}
	padding := padded(e.place.data) - e.place.data
	if _, err := io.CopyN(io.Discard, x.tar, padding); err != nil {
		return cut(err)
	}
	x.at = x.chosen.offset(e) + e.place.length()
	return ctx.Err()
}

// compare looks whether everything is there as the index says.
func (x *extraction) compare() error {
	for _, e := range x.chosen.entries {
		var st unix.Stat_t
		if err := unix.Fstatat(x.fd(), e.name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return x.failed("look at the restored", e, err)
		}
		var now entry
		now.fill(&st)
		kindNow := e.kind
		if kindNow == kindHardlink {
			kindNow = kindFile
		}
		if now.kind != kindNow || e.kind == kindFile && now.size != e.size || e.kind != kindSymlink && e.kind != kindHardlink && now.mode != e.mode {
			return failure.Wrap(failure.Corrupt, "compare the restored files with the index", fmt.Errorf("%s is not as it was", printable(e.name)), "Use another backup.")
		}
	}
	return nil
}
