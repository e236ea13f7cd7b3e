package mysql

import (
	"bytes"
	"cmp"
	"errors"
	"hash/crc32"
	"io"
)

// recutter is a dump whose INSERTs begin where their rows say, not where the one before was full. The tools begin
// a new one after so many bytes, so that a row that is inserted or becomes longer moves the beginning of every later
// one: nearly every chunk of the table would differ from the backup before. Only dumps with a row a line, as MariaDB's
// tools write them, are changed; the others pass.
type recutter struct {
	*followed
	out     pieces
	scratch []byte
	done    error
	atEnd   func()    // called before Read returns io.EOF; may be nil
	texts   *bytewise // nil: the dump is in utf8mb4 already
}

func newRecutter(dump io.Reader) *recutter {
	r := &recutter{followed: follow(dump), scratch: make([]byte, 256<<10)}
	r.script.out = &r.out
	r.script.cuts = &cuts{out: &r.out}
	return r
}

// readBytewise says that the dump is a bytewise one.
func (r *recutter) readBytewise(texts *bytewise) {
	r.texts = texts
	r.script.statement = texts.statement
}

func (r *recutter) Read(p []byte) (int, error) {
	for r.out.empty() {
		if r.done != nil {
			return 0, r.done
		}
		if _, err := r.followed.Read(r.scratch); err != nil {
			if errors.Is(err, io.EOF) && r.texts != nil {
				err = cmp.Or(r.texts.end(), err)
			}
			r.done = err
			if errors.Is(err, io.EOF) {
				r.script.close()
				if r.atEnd != nil {
					r.atEnd()
				}
			}
		}
	}
	return r.out.Read(p)
}

// cutBytes is about how long INSERTs are; packetBytes and a row is the most.
const cutBytes = 256 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// cuts decides where INSERTs begin. Of a row that comes in parts the last byte, which may separate it from the next one, is kept back.
type cuts struct {
	out    *pieces
	header []byte // INSERT INTO `t` VALUES
	held   bool   // the tool's INSERT has ended; what comes next tells whether ours does
	tail   []byte // the byte kept back, if any
	size   int    // bytes of the INSERT so far
	row    int    // bytes of the row so far
	sum    uint32 // of the row so far
	count  rowCount
}

// begin takes the header of an INSERT, with what stands before it.
func (c *cuts) begin(text []byte) {
	header := bytes.TrimLeft(text, " \t\r\n")
	c.count.begin(header)
	if c.held && bytes.Equal(header, c.header) {
		c.held = false
		c.between(comma)
		return
	}
	c.end()
	_, _ = c.out.Write(text)
	c.out.WriteString("\n")
	c.header = append(c.header[:0], header...)
	c.size, c.row, c.sum = 0, 0, 0
}

// end ends an INSERT that is not continued.
func (c *cuts) end() {
	if c.held {
		c.held = false
		c.out.WriteString(";\n")
	}
}

// rows takes what belongs to the tool's INSERT, and returns how much of p that was and whether it has ended.
func (c *cuts) rows(p []byte) (n int, ended bool) {
	for n < len(p) {
		if length := c.wholeRow(p[n:]); length > 0 {
			n += length
			continue
		}
		line, whole := p[n:], false
		if at := bytes.IndexByte(line, '\n'); at >= 0 {
			line, whole = line[:at], true
			n++
		}
		n += len(line)
		c.add(line)
		if !whole {
			continue
		}
		separator := c.tail
		c.tail = c.tail[:0]
		switch string(separator) {
		case ";":
			c.count.row()
			c.held = true
			return n, true
		case ",":
			c.count.row()
			c.between(comma)
		default: // no row ends so; nothing is lost
			_, _ = c.out.Write(separator)
			c.out.WriteString("\n")
		}
	}
	return n, false
}

var comma = []byte(",\n")

// wholeRow takes a row, or the rest of one, that p begins with and that another one follows: nearly every row. It returns how
// much that was, 0 if p does not begin so.
func (c *cuts) wholeRow(p []byte) int {
	end := bytes.IndexByte(p, '\n')
	if end < 1 || p[end-1] != ',' || len(c.tail) > 0 {
		return 0
	}
	row, separator := p[:end-1], p[end-1:end+1]
	c.sum = crc32.Update(c.sum, castagnoli, row)
	c.row += len(row)
	c.out.show(row)
	c.count.row()
	c.between(separator)
	return end + 1
}

// add passes a part of a row on.
func (c *cuts) add(part []byte) {
	if len(part) == 0 {
		return
	}
	last := len(part) - 1
	for _, piece := range [][]byte{c.tail, part[:last]} {
		c.sum = crc32.Update(c.sum, castagnoli, piece)
		c.row += len(piece)
		_, _ = c.out.Write(piece)
	}
	c.tail = append(c.tail[:0], part[last])
}

// between stands between two rows. Longer rows are likelier to end an INSERT, so that these are of about the same
// size whatever the rows are. The separator goes there if none ends.
func (c *cuts) between(separator []byte) {
	c.size += c.row
	if uint64(c.sum) < uint64(c.row)*((1<<32)/cutBytes) || c.size >= packetBytes {
		c.out.WriteString(";\n")
		_, _ = c.out.Write(c.header)
		separator = []byte{'\n'}
		c.size = 0
	}
	c.out.show(separator)
	c.row, c.sum = 0, 0
}
