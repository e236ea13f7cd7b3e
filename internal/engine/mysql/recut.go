package mysql

import (
	"bytes"
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
	out     bytes.Buffer
	scratch []byte
	done    error
	atEnd   func() // called before Read returns io.EOF; may be nil
}

func newRecutter(dump io.Reader) *recutter {
	r := &recutter{followed: follow(dump), scratch: make([]byte, 256<<10)}
	r.script.out = &r.out
	r.script.cuts = &cuts{out: &r.out}
	return r
}

func (r *recutter) Read(p []byte) (int, error) {
	for r.out.Len() == 0 {
		if r.done != nil {
			return 0, r.done
		}
		if _, err := r.followed.Read(r.scratch); err != nil {
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

// cuts decides where INSERTs begin. Of each row the last byte, which separates it from the next one, is kept back.
type cuts struct {
	out    *bytes.Buffer
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
		c.between()
		return
	}
	c.end()
	c.out.Write(text)
	c.out.WriteByte('\n')
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
			c.between()
		default: // no row ends so; nothing is lost
			c.out.Write(separator)
			c.out.WriteByte('\n')
		}
	}
	return n, false
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
		c.out.Write(piece)
	}
	c.tail = append(c.tail[:0], part[last])
}

// between stands between two rows. Longer rows are likelier to end an INSERT, so that these are of about the same
// size whatever the rows are.
func (c *cuts) between() {
	c.size += c.row
	if uint64(c.sum) < uint64(c.row)*((1<<32)/cutBytes) || c.size >= packetBytes {
		c.out.WriteString(";\n")
		c.out.Write(c.header)
		c.out.WriteByte('\n')
		c.size = 0
	} else {
		c.out.WriteString(",\n")
	}
	c.row, c.sum = 0, 0
}
