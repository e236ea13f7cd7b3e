package postgres

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// blockReader reads the data block of one table out of a custom-format archive: what it gives is
// what the directory format has in a file. io.EOF comes only behind the block's own end mark.
type blockReader struct {
	archive *bufio.Reader
	numbers int // bytes of a number without its sign
	left    int // bytes of the current piece
	ended   bool
	last    bool // nothing follows the block in the archive
}

const blockBuffer = 256 << 10

// newBlockReader reads the head of a block and compares it with what the index says.
func newBlockReader(archive io.Reader, numbers int, want dataBlock, last bool) (*blockReader, error) {
	b := &blockReader{archive: bufio.NewReaderSize(archive, blockBuffer), numbers: numbers, last: last}
	kind, err := b.archive.ReadByte()
	if err != nil {
		return nil, damaged(err)
	}
	id, err := b.number()
	if err != nil {
		return nil, damaged(err)
	}
	if id != want.id || (kind == blockLarge) != want.large || (kind != blockLarge && kind != blockData) {
		return nil, damaged(badArchive("at offset %d is a block of kind %d and dump id %d instead of %d", want.offset, kind, id, want.id))
	}
	return b, nil
}

// Read gives the content of the pieces one after the other. It fills p as far as it can: rows are
// pieces, and short.
func (b *blockReader) Read(p []byte) (int, error) {
	total := 0
	for total < len(p) {
		total += b.buffered(p[total:])
		if total == len(p) || b.left == 0 && b.ended {
			break
		}
		if b.left == 0 {
			if err := b.nextPiece(); err != nil {
				return total, err
			}
			continue
		}
		n, err := b.archive.Read(p[total : total+min(len(p)-total, b.left)])
		total, b.left = total+n, b.left-n
		if err != nil {
			return total, damaged(err)
		}
	}
	if total == 0 && b.ended {
		return 0, b.end()
	}
	return total, nil
}

// buffered reads the pieces that are in memory, up to one whose length is not whole or makes no sense: a call
// for each part of a row would cost more than copying it.
func (b *blockReader) buffered(p []byte) int {
	have, _ := b.archive.Peek(b.archive.Buffered()) // what is buffered can be had
	total, used := 0, 0
	for total < len(p) {
		if b.left == 0 {
			head := have[used:]
			if b.ended || len(head) <= b.numbers || head[0] != 0 {
				break
			}
			size := decodeNumber(head, b.numbers)
			if size < 0 {
				break
			}
			b.left, b.ended, used = size, size == 0, used+1+b.numbers
			continue
		}
		n := copy(p[total:], have[used:used+min(len(have)-used, b.left)])
		if n == 0 {
			break
		}
		total, used, b.left = total+n, used+n, b.left-n
	}
	_, _ = b.archive.Discard(used)
	return total
}

func (b *blockReader) nextPiece() error {
	size, err := b.number()
	switch {
	case err != nil:
		return damaged(err)
	case size < 0:
		return damaged(badArchive("a piece of data has a negative length"))
	}
	b.left, b.ended = size, size == 0
	return nil
}

// end reads on behind the last block: that is where a reader may tell that something is wrong.
func (b *blockReader) end() error {
	if !b.last {
		return io.EOF
	}
	_, err := b.archive.ReadByte()
	if err == nil {
		err = badArchive("something follows the last block")
	}
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return damaged(err)
}

// object begins a large object and returns its oid, 0 behind the last one.
func (b *blockReader) object() (oid int, err error) {
	b.ended, b.left = false, 0
	if oid, err = b.number(); err != nil {
		return 0, damaged(err)
	}
	b.ended = oid == 0
	return oid, nil
}

// objects hands on every large object of the block; put reads it to its end.
func (b *blockReader) objects(put func(oid uint32, content io.Reader) error) error {
	for {
		oid, err := b.object()
		if err != nil {
			return err
		}
		if oid == 0 {
			break
		}
		if err := put(uint32(oid), objectReader{b}); err != nil { //nolint:gosec // an oid has 32 bits
			return err
		}
	}
	if err := b.end(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// objectReader reads one large object: its end is not the block's.
type objectReader struct{ block *blockReader }

func (o objectReader) Read(p []byte) (int, error) {
	last := o.block.last
	o.block.last = false
	defer func() { o.block.last = last }()
	return o.block.Read(p)
}

func (b *blockReader) number() (int, error) {
	raw, err := b.archive.Peek(1 + b.numbers)
	if err != nil {
		return 0, err
	}
	value := decodeNumber(raw, b.numbers)
	_, err = b.archive.Discard(1 + b.numbers)
	return value, err
}

// decodeNumber decodes a sign byte and the bytes of a number.
func decodeNumber(raw []byte, numbers int) int {
	if numbers == 4 { // as every pg_dump of today writes them
		value := int(binary.LittleEndian.Uint32(raw[1:]))
		if raw[0] != 0 {
			return -value
		}
		return value
	}
	var wide [8]byte
	copy(wide[:], raw[1:1+numbers])
	value := int(binary.LittleEndian.Uint64(wide[:])) //nolint:gosec // as the archive's own writer had it
	if raw[0] != 0 {
		return -value
	}
	return value
}

// damaged keeps the class of what the archive's reader said; an end is one that comes too early.
func damaged(err error) error {
	if errors.Is(err, io.EOF) {
		err = errCutShort
	}
	class := failure.ClassOf(err)
	if errors.Is(err, errCutShort) || errors.Is(err, errBadArchive) {
		class = failure.Corrupt
	}
	return failure.Wrap(class, "read the dump", err, "The dump is damaged; restore another backup.")
}
