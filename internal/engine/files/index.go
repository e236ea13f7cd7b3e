package files

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// The index is a line that names its version, a record for each entry in the order of comparePaths, and a
// trailer with the packs. Numbers are varints; docs/format.md lists the fields.
const indexMagic = "dataguardian files index 1\n"

// pack is a part of the tar stream that begins and ends as a segment does.
type pack struct {
	offset int64 // in the tar stream
	bytes  int64
}

// A text of an index is no longer: a path, or what a link points to.
const maxText = 1 << 20

// indexWriter writes an index.
type indexWriter struct {
	w        *bufio.Writer
	record   []byte
	last     string
	lastTime int64
	count    uint64
}

func newIndexWriter(w io.Writer) (*indexWriter, error) {
	iw := &indexWriter{w: bufio.NewWriterSize(w, 256<<10)}
	_, err := iw.w.WriteString(indexMagic)
	return iw, err
}

// add writes the record of an entry. Paths come in order.
func (w *indexWriter) add(e *entry) error {
	path := e.path()
	shared := commonPrefix(w.last, path)
	r := append(w.record[:0], byte(e.kind), e.flags)
	r = binary.AppendUvarint(r, uint64(shared))
	r = appendText(r, path[shared:])
	for _, n := range []uint64{uint64(e.mode), uint64(e.uid), uint64(e.gid), uint64(e.size)} {
		r = binary.AppendUvarint(r, n)
	}
	r = binary.AppendVarint(r, e.mtime-w.lastTime)
	r = binary.AppendVarint(r, e.ctime-e.mtime)
	r = binary.AppendUvarint(r, e.inode)
	r = binary.AppendUvarint(r, e.device)
	r = binary.LittleEndian.AppendUint64(r, e.xattrs)
	for _, n := range []uint64{uint64(e.place.pack), uint64(e.place.offset), uint64(e.place.header), uint64(e.place.data)} {
		r = binary.AppendUvarint(r, n)
	}
	if e.kind == kindSymlink || e.kind == kindHardlink {
		r = appendText(r, e.link)
	}
	r = binary.AppendUvarint(r, uint64(len(e.stale)))
	for _, p := range e.stale {
		r = binary.AppendUvarint(r, uint64(p))
	}
	w.record, w.last, w.lastTime = r, path, e.mtime
	w.count++
	_, err := w.w.Write(r)
	return err
}

// finish writes the trailer.
func (w *indexWriter) finish(packs []pack) error {
	r := append(w.record[:0], 0)
	r = binary.AppendUvarint(r, w.count)
	r = binary.AppendUvarint(r, uint64(len(packs)))
	for _, p := range packs {
		r = binary.AppendUvarint(r, uint64(p.bytes))
	}
	if _, err := w.w.Write(r); err != nil {
		return err
	}
	return w.w.Flush()
}

func appendText(r []byte, text string) []byte {
	return append(binary.AppendUvarint(r, uint64(len(text))), text...)
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// indexReader reads an index, and refuses what no indexWriter writes: whoever uses it need not look at
// paths again.
type indexReader struct {
	r        *bufio.Reader
	source   error // of the reader, to tell it from damage
	last     []byte
	lastTime int64
	count    uint64
	packs    []pack // after io.EOF
}

func newIndexReader(r io.Reader) (*indexReader, error) {
	ir := &indexReader{r: bufio.NewReaderSize(r, 256<<10)}
	magic := make([]byte, len(indexMagic))
	if err := ir.full(magic); err != nil {
		return nil, ir.damage(err)
	}
	if string(magic) != indexMagic {
		return nil, ir.damage(errors.New("it does not begin as an index of this version"))
	}
	return ir, nil
}

// damage is failure.Corrupt, unless the reader itself failed.
func (r *indexReader) damage(err error) error {
	if r.source != nil {
		return r.source
	}
	return failure.Wrap(failure.Corrupt, "read the index of files", err, "Use another backup, or read the tar stream by hand: see docs/format.md.")
}

// next reads the next entry into e, whose directory is not filled in: name is the whole path. io.EOF
// comes after the trailer.
func (r *indexReader) next(e *entry) error {
	err := r.read(e)
	if err == nil || errors.Is(err, io.EOF) && r.packs != nil {
		return err
	}
	return r.damage(err)
}

func (r *indexReader) read(e *entry) error {
	tag, err := r.byte()
	if err != nil {
		return err
	}
	if tag == 0 {
		if err := r.trailer(); err != nil {
			return err
		}
		return io.EOF
	}
	*e = entry{kind: kind(tag)}
	if e.kind > kindGone {
		return fmt.Errorf("a record of kind %d", tag)
	}
	if e.flags, err = r.byte(); err != nil {
		return err
	}
	if err := r.readPath(e); err != nil {
		return err
	}
	var n [4]uint64
	if err := r.numbers(n[:]); err != nil {
		return err
	}
	e.mode, e.uid, e.gid, e.size = uint32(n[0])&0o7777, uint32(n[1]), uint32(n[2]), int64(n[3])
	times := [2]int64{}
	for i := range times {
		if times[i], err = binary.ReadVarint(r); err != nil {
			return noEOF(err)
		}
	}
	e.mtime = r.lastTime + times[0]
	e.ctime, r.lastTime = e.mtime+times[1], e.mtime
	if err := r.numbers(n[:2]); err != nil {
		return err
	}
	e.inode, e.device = n[0], n[1]
	var hash [8]byte
	if err := r.full(hash[:]); err != nil {
		return err
	}
	e.xattrs = binary.LittleEndian.Uint64(hash[:])
	return r.readPlace(e)
}

func (r *indexReader) readPath(e *entry) error {
	shared, err := binary.ReadUvarint(r)
	if err != nil {
		return noEOF(err)
	}
	suffix, err := r.text()
	if err != nil {
		return err
	}
	if shared > uint64(len(r.last)) || int(shared)+len(suffix) > maxText {
		return errors.New("a path is not one")
	}
	before := string(r.last)
	r.last = append(r.last[:shared], suffix...)
	e.name = string(r.last)
	if e.name == "." {
		if r.count > 0 || e.kind != kindDir {
			return errors.New("the root is not the first directory")
		}
		r.last = r.last[:0]
	} else if r.count == 0 {
		return errors.New("the root does not come first")
	} else if !localPath(e.name) {
		return fmt.Errorf("%q is no path below the root", e.name)
	} else if before != "" && comparePaths(before, e.name) >= 0 {
		return fmt.Errorf("%q is out of order", e.name)
	}
	r.count++
	return nil
}

// localPath reports whether a path is what a walk makes: below the root, without a detour.
func localPath(name string) bool {
	return name != "" && name[0] != '/' && name != ".." && name != "." && !strings.HasPrefix(name, "../") &&
		!strings.ContainsRune(name, 0) && path.Clean(name) == name
}

func (r *indexReader) readPlace(e *entry) error {
	var n [4]uint64
	if err := r.numbers(n[:]); err != nil {
		return err
	}
	if n[0] > 1<<31-1 || n[1] > 1<<62 || n[2] > 1<<30 || n[3] > 1<<62 {
		return errors.New("an entry is nowhere in the tar stream")
	}
	e.place = place{pack: int32(n[0]), offset: int64(n[1]), header: int32(n[2]), data: int64(n[3])}
	if e.kind == kindSymlink || e.kind == kindHardlink {
		link, err := r.text()
		if err != nil {
			return err
		}
		e.link = string(link)
		if strings.ContainsRune(e.link, 0) || e.kind == kindHardlink && !localPath(e.link) {
			return fmt.Errorf("%q links to %q, which is not below the root", e.name, e.link)
		}
	}
	return r.readStale(e)
}

func (r *indexReader) readStale(e *entry) error {
	var n [1]uint64
	if err := r.numbers(n[:]); err != nil {
		return err
	}
	for count := n[0]; count > 0; count-- {
		if err := r.numbers(n[:]); err != nil {
			return err
		}
		if n[0] > 1<<31-1 {
			return errors.New("an entry has an older version nowhere")
		}
		e.stale = append(e.stale, int32(n[0]))
	}
	return nil
}

func (r *indexReader) trailer() error {
	var n [2]uint64
	if err := r.numbers(n[:]); err != nil {
		return err
	}
	if n[0] != r.count {
		return fmt.Errorf("it has %d records of %d", r.count, n[0])
	}
	packs, offset := []pack{}, int64(0)
	for range n[1] {
		bytes, err := binary.ReadUvarint(r)
		if err != nil {
			return noEOF(err)
		}
		if bytes > 1<<62 || offset+int64(bytes) < offset {
			return errors.New("a pack is too long")
		}
		packs = append(packs, pack{offset: offset, bytes: int64(bytes)})
		offset += int64(bytes)
	}
	if _, err := r.byte(); !errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("there is something behind it")
	}
	if r.source != nil {
		return r.source
	}
	r.packs = packs
	return nil
}

func (r *indexReader) numbers(into []uint64) error {
	for i := range into {
		var err error
		if into[i], err = binary.ReadUvarint(r); err != nil {
			return noEOF(err)
		}
	}
	return nil
}

func (r *indexReader) text() ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, noEOF(err)
	}
	if n > maxText {
		return nil, errors.New("a text is too long")
	}
	text := make([]byte, n)
	return text, r.full(text)
}

func (r *indexReader) full(into []byte) error {
	_, err := io.ReadFull(r.r, into)
	return r.note(err)
}

// ReadByte is for package binary.
func (r *indexReader) ReadByte() (byte, error) { return r.byte() }

func (r *indexReader) byte() (byte, error) {
	b, err := r.r.ReadByte()
	return b, r.note(err)
}

// note keeps an error of the reader; its end is damage wherever it comes.
func (r *indexReader) note(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	r.source = err
	return err
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
