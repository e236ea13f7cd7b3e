package postgres

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
)

// Versions of the archive format, major<<8 | minor, in which its structure changed. Archives
// before 1.12 (PostgreSQL 9.0) and after 1.16 are not followed.
const (
	oldestArchive    = 1<<8 | 12
	versionTableAM   = 1<<8 | 14 // PostgreSQL 12
	versionAlgorithm = 1<<8 | 15 // PostgreSQL 16: compression is one byte
	versionRelKind   = 1<<8 | 16 // PostgreSQL 17
	newestArchive    = versionRelKind
)

const (
	customFormat  = 1
	tarFormat     = 3 // what toc.dat of the directory format says
	blockData     = 1
	blockLarge    = 3 // large objects
	offsetNoData  = 3
	longestString = 1 << 30
)

// archiveReader reads the numbers and strings of one archive.
type archiveReader struct {
	*walker
	format  byte // customFormat or tarFormat
	version int
	intSize int
	offSize int
	section int // of the last entry that names one
}

// walkArchive follows src_bin/pg_dump/pg_backup_archiver.c (ReadHead, ReadToc) and
// pg_backup_custom.c (_skipData, _skipLOs).
func walkArchive(w *walker) (summary, error) {
	a := archiveReader{walker: w, format: customFormat}
	known, err := a.header()
	if err != nil {
		return summary{}, err
	}
	if !known {
		for !w.atEnd() {
			w.pending = nil
		}
		return summary{}, nil
	}
	found := summary{known: true}
	promised := 0
	err = a.contents(func(e entry) error {
		found.count(e)
		if e.hasData {
			promised++
		}
		return nil
	})
	if err != nil {
		return found, err
	}
	for !a.atEnd() {
		a.starts = append(a.starts, a.position())
		block, err := a.block()
		if err != nil {
			return found, err
		}
		found.blocks = append(found.blocks, block)
	}
	if len(found.blocks) != promised {
		return found, errCutShort
	}
	return found, nil
}

func (s *summary) count(e entry) {
	if e.kind == tableDataKind {
		s.tables++
		if s.names == nil {
			s.names = map[int]string{}
		}
		s.names[e.id] = tableName(e.namespace, e.tag)
	}
}

// header reads up to the table of contents. It reports false for a version it does not know.
func (a *archiveReader) header() (bool, error) {
	head, err := a.take(len(magic) + 6)
	if err != nil {
		return false, err
	}
	if string(head[:len(magic)]) != magic {
		return false, badArchive("it does not begin with %s", magic)
	}
	head = head[len(magic):]
	a.version = int(head[0])<<8 | int(head[1])
	if a.version < oldestArchive || a.version > newestArchive {
		return false, nil
	}
	a.intSize, a.offSize = int(head[3]), int(head[4])
	if a.intSize < 1 || a.intSize > 8 || a.offSize < 1 || a.offSize > 8 || head[5] != a.format {
		return false, badArchive("its header makes no sense")
	}
	if a.version >= versionAlgorithm {
		err = a.skip(1)
	} else {
		_, err = a.number()
	}
	for range 7 { // when it was made: seconds to daylight saving
		if err == nil {
			_, err = a.number()
		}
	}
	return true, a.strings(3, err) // database, server's version, pg_dump's version
}

// entry is one element of the table of contents. Texts that are longer than they may be are "".
type entry struct {
	id         int
	namespace  string
	tag        string // the table's name
	kind       string
	section    int // an entry that names none belongs to that of the one before
	definition string
	copyInto   string // the COPY statement of a table's data
	tablespace string
	dependsOn  []int
	hasData    bool
	file       string // with the data, in toc.dat
}

// table is the dump id of what an entry depends on first, 0 none: of a table's data, the table.
func (e entry) table() int {
	if len(e.dependsOn) == 0 {
		return 0
	}
	return e.dependsOn[0]
}

const (
	tableKind     = "TABLE"
	tableDataKind = "TABLE DATA"
	largeKind     = "BLOBS"
	// makeLargeKind makes the large objects of a group, in the section of the data: from PostgreSQL 17 on. Before, each has a
	// definition of its own ("BLOB") among those of the tables.
	makeLargeKind = "BLOB METADATA"
)

// The sections of a dump, as pg_backup_archiver.h numbers them.
const (
	sectionNone    = 1
	sectionPreData = 2
)

// contents reads the table of contents and gives each entry to visit.
func (a *archiveReader) contents(visit func(entry) error) error {
	count, err := a.number()
	if err != nil {
		return err
	}
	for range count {
		e, err := a.entry()
		if err == nil {
			err = visit(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entry reads one entry of the table of contents.
func (a *archiveReader) entry() (e entry, err error) {
	if e.id, err = a.number(); err == nil {
		_, err = a.number() // whether it had a dumper
	}
	err = a.strings(2, err) // table oid, oid
	a.textInto(&e.tag, &err)
	a.textInto(&e.kind, &err)
	if err == nil {
		e.section, err = a.number()
	}
	if e.section == sectionNone {
		e.section = a.section
	}
	a.section = e.section
	a.longTextInto(&e.definition, &err)
	err = a.strings(1, err) // drop statement
	a.longTextInto(&e.copyInto, &err)
	a.textInto(&e.namespace, &err)
	a.textInto(&e.tablespace, &err)
	if err == nil && a.version >= versionTableAM {
		err = a.strings(1, nil)
	}
	if err == nil && a.version >= versionRelKind {
		_, err = a.number()
	}
	if err = a.strings(2, err); err != nil { // owner, with oids
		return e, err
	}
	if err := a.dependencies(&e); err != nil {
		return e, err
	}
	if a.format == tarFormat {
		e.file, _, err = a.text()
		e.hasData = e.file != ""
		return e, err
	}
	offset, err := a.take(1 + a.offSize)
	if err != nil {
		return e, err
	}
	e.hasData = offset[0] != offsetNoData
	return e, nil
}

func (a *archiveReader) dependencies(e *entry) error {
	for {
		text, more, err := a.text()
		if err != nil || !more {
			return err
		}
		id, _ := strconv.Atoi(text) // one that is no number is nobody's
		e.dependsOn = append(e.dependsOn, id)
	}
}

// dataBlock is where an archive holds the data of an entry: id and content with their framing.
type dataBlock struct {
	id     int // dump id
	large  bool
	offset int64
	size   int64
	lines  int64 // line breaks in the content; not recorded
}

// block passes over one data block.
func (a *archiveReader) block() (b dataBlock, err error) {
	b.offset = a.position()
	kind, err := a.ReadByte()
	if err != nil {
		return b, err
	}
	if b.id, err = a.number(); err != nil {
		return b, err
	}
	switch kind {
	case blockData:
		err = a.chunks(&b.lines)
	case blockLarge:
		b.large = true
		err = a.largeObjects()
	default:
		err = badArchive("a data block is of kind %d", kind)
	}
	b.size = a.position() - b.offset
	return b, err
}

func (a *archiveReader) largeObjects() error {
	for {
		oid, err := a.number()
		if err != nil || oid == 0 {
			return err
		}
		if err := a.chunks(nil); err != nil {
			return err
		}
	}
}

// chunks passes over pieces of data up to the empty one that ends them, and counts line breaks where wanted.
func (a *archiveReader) chunks(lines *int64) error {
	if !a.lines {
		lines = nil
	}
	for {
		a.wholePieces(lines)
		size, err := a.number()
		if err != nil || size == 0 {
			return err
		}
		if size < 0 {
			return badArchive("a piece of data has a negative length")
		}
		if lines != nil {
			err = a.skipLines(size, lines)
		} else {
			err = a.skip(size)
		}
		if err != nil {
			return err
		}
	}
}

// wholePieces passes over the pieces that lie in pending from end to end: nearly all, one for each row. It leaves
// what is anything else to who comes next.
func (a *archiveReader) wholePieces(lines *int64) {
	const head = 5 // a sign and four bytes
	if a.intSize != head-1 {
		return
	}
	pending, at, inHeads := a.pending, 0, int64(0)
	for len(pending)-at > head {
		size := int(binary.LittleEndian.Uint32(pending[at+1:]))
		if pending[at] != 0 || size == 0 || size > len(pending)-at-head {
			break
		}
		if lines != nil {
			inHeads += int64(bytes.Count(pending[at+1:at+head], lineBreak))
		}
		at += head + size
	}
	if lines != nil {
		*lines += int64(bytes.Count(pending[:at], lineBreak)) - inHeads
	}
	a.use(at)
}

// number reads a sign byte and intSize bytes, the lowest first.
func (a *archiveReader) number() (int, error) {
	if size := a.intSize; size == 4 && len(a.pending) > size { // nearly always, once a row
		read := a.use(1 + size)
		value := int(binary.LittleEndian.Uint32(read[1:]))
		if read[0] != 0 {
			return -value, nil
		}
		return value, nil
	}
	sign, err := a.ReadByte()
	if err != nil {
		return 0, err
	}
	value := 0
	for i := range a.intSize {
		b, err := a.ReadByte()
		if err != nil {
			return 0, err
		}
		value |= int(b) << (8 * i)
	}
	if sign != 0 {
		return -value, nil
	}
	return value, nil
}

const (
	// A name has 63 bytes unless the server was built otherwise.
	longestName = 256
	// A statement that names 1,600 columns has room in it; a longer definition is left to pg_restore.
	longestStatement = 1 << 20
)

// text reads a string; false is a null one. One that is longer than a name is passed over.
func (a *archiveReader) text() (string, bool, error) { return a.textUpTo(longestName) }

func (a *archiveReader) textUpTo(limit int) (string, bool, error) {
	size, err := a.number()
	if err != nil || size < 0 {
		return "", false, err
	}
	if size > longestString {
		return "", false, badArchive("a string of %d bytes", size)
	}
	if size > limit {
		return "", true, a.skip(size)
	}
	value, err := a.take(size)
	return string(slices.Clip(value)), true, err
}

// textInto reads a string unless something failed already.
func (a *archiveReader) textInto(text *string, err *error) {
	if *err == nil {
		*text, _, *err = a.text()
	}
}

func (a *archiveReader) longTextInto(text *string, err *error) {
	if *err == nil {
		*text, _, *err = a.textUpTo(longestStatement)
	}
}

// strings passes over n strings, unless something failed already.
func (a *archiveReader) strings(n int, err error) error {
	for range n {
		if err != nil {
			return err
		}
		_, _, err = a.text()
	}
	return err
}
