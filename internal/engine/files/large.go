package files

import (
	"bytes"
	"io"
	"os"
	"time"

	"github.com/dataguardian/dataguardian/internal/posixlock"
)

// largeFile streams one file as a tar entry, whatever happens to it meanwhile: the entry has the length
// that its header says.
type largeFile struct {
	io.Reader // header, content, padding
	file      *os.File
	entry     *entry
	warnings  *warnings
	content   *exactReader
}

// openLarge makes the header. The caller reads to the end, then calls finish.
func openLarge(t *tree, e *entry, warn *warnings) (*largeFile, error) {
	fd, err := t.openEntry(e)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), t.path+"/"+e.path())
	l, err := newLargeFile(file, e, warn)
	if err != nil {
		_ = posixlock.CloseFile(file)
	}
	return l, err
}

func newLargeFile(file *os.File, e *entry, warn *warnings) (*largeFile, error) {
	attributes, err := attributesOf(int(file.Fd()), "")
	if err != nil {
		warn.add(e.path(), "its extended attributes could not be read: %v", err)
	}
	e.xattrs = attributesHash(attributes)
	var sparse *sparseMap
	if e.blocks*512 < e.size {
		if sparse, err = findHoles(file, e.size); err != nil {
			return nil, err
		}
	}
	var content io.Reader = file
	stored, mapped := e.size, 0
	if sparse != nil {
		e.flags |= flagSparse
		content, stored = sparse.reader(file), sparse.bytes()
		sparse.closeAt(e.size)
		mapped = len(sparse.text())
	}
	e.place.data = stored + int64(mapped)
	header, err := appendHeader(nil, e, e.place.data, attributes, sparse)
	if err != nil {
		return nil, err
	}
	e.place.header, e.place.offset = int32(len(header)-mapped), 0 //nolint:gosec // some hundred KiB
	exact := &exactReader{r: content, left: stored}
	padding := padded(e.place.data) - e.place.data
	return &largeFile{
		Reader: io.MultiReader(bytes.NewReader(header), exact, bytes.NewReader(make([]byte, padding))),
		file:   file, entry: e, warnings: warn, content: exact,
	}, nil
}

// finish closes the file and tells whether it changed.
func (l *largeFile) finish() {
	if !settled(l.entry, int(l.file.Fd()), time.Now().UnixNano()) || l.content.missing > 0 {
		l.entry.flags |= flagSuspect
		l.warnings.add(l.entry.path(), "%s", changedWhileRead(l.entry.size-l.content.missing, l.entry.size))
	}
	_ = posixlock.CloseFile(l.file)
}

// exactReader reads exactly left bytes of r: zeros stand for what is not there any more.
type exactReader struct {
	r       io.Reader
	left    int64
	missing int64
	ended   bool
}

func (x *exactReader) Read(p []byte) (int, error) {
	if x.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), x.left)]
	n := 0
	var err error
	if !x.ended {
		n, err = x.r.Read(p)
		if err == io.EOF { //nolint:errorlint // io.Reader's contract
			x.ended, err = true, nil
		}
	} else {
		clear(p)
		n = len(p)
		x.missing += int64(n)
	}
	x.left -= int64(n)
	return n, err
}
