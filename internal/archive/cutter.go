package archive

import (
	"encoding/binary"
	"math/bits"

	"github.com/PlakarKorp/go-cdc-chunkers/chunkers/fastcdc"
)

// cutter finds the cut points of FastCDC (Xia et al., "FastCDC: a Fast and Efficient
// Content-Defined Chunking Approach for Data Deduplication", 2016) in a stream that it sees piece by
// piece: the same ones as chunkerAlgorithm of github.com/PlakarKorp/go-cdc-chunkers, which a test
// compares. It is apart from the library because a byte's fingerprint depends on the 64 bytes before
// it only, so that four places of a stream can be looked at side by side: twice as fast.
type cutter struct {
	params Params
	table  [256]uint64
	early  uint64 // mask up to the average size: more bits, so that fewer chunks end before it
	late   uint64 // mask behind it: fewer bits

	length      int // of the current chunk, so far
	fingerprint uint64
}

// normalization is by how many bits the masks differ from the one that would cut at the average.
const normalization = 2

func newCutter(p Params, key [32]byte) *cutter {
	average := bits.TrailingZeros(uint(p.Average))
	return &cutter{
		params: p, table: gearTable(key),
		early: spacedMask(average + normalization), late: spacedMask(average - normalization),
	}
}

// gearTable is the library's table under a key, so that boundaries tell nothing of the content to
// who does not have it.
func gearTable(key [32]byte) (table [256]uint64) {
	hasher := newHash(key)
	for _, value := range fastcdc.G {
		_, _ = hasher.Write(binary.LittleEndian.AppendUint64(nil, value)) // a hash takes everything
	}
	var stream [8 * 256]byte
	_, _ = hasher.Digest().Read(stream[:]) // an endless stream
	for i := range table {
		table[i] = binary.LittleEndian.Uint64(stream[8*i:])
	}
	return table
}

// spacedMask has ones evenly spread over 64 bits, from the highest.
func spacedMask(ones int) (mask uint64) {
	step := 64 / ones
	for i := range ones {
		mask |= 1 << (63 - i*step)
	}
	return mask
}

// scan looks at the next piece of the stream. When the chunk ends in it, n is how much of the piece
// still belongs to the chunk, and the next call is about the chunk after it, beginning with the rest.
func (c *cutter) scan(piece []byte) (n int, ends bool) {
	if c.length < c.params.Min {
		n = min(c.params.Min-c.length, len(piece))
		c.length += n
	}
	for _, zone := range []struct {
		end  int
		mask uint64
	}{{c.params.Average, c.early}, {c.params.Max, c.late}} {
		if c.length >= zone.end || n == len(piece) {
			continue
		}
		part := piece[n:min(len(piece), n+zone.end-c.length)]
		at, found := c.find(part, zone.mask)
		n, c.length = n+at, c.length+at
		if found {
			c.length, c.fingerprint = 0, 0
			return n, true
		}
	}
	if c.length == c.params.Max {
		c.length, c.fingerprint = 0, 0
		return n, true
	}
	return n, false
}

// longPart is how many average chunks a part of a stream has at least, after which a chunk of any size ends.
const longPart = 8

// edge is told that a part of the stream ends here, which has so many bytes, and reports whether the chunk does too: unless it
// is shorter than chunks are, which it may be after a long part only, so that many short parts give no more chunks.
func (c *cutter) edge(part int64) bool {
	if c.length == 0 || (c.length < c.params.Min && part < longPart*int64(c.params.Average)) {
		return false
	}
	c.length, c.fingerprint = 0, 0
	return true
}

const (
	window   = 64   // bytes that a fingerprint depends on
	laneSize = 2048 // bytes that each of four lanes looks at
)

// find returns the first place of part whose fingerprint has no bit of the mask, or its length.
func (c *cutter) find(part []byte, mask uint64) (at int, found bool) {
	for at+4*laneSize <= len(part) {
		last, clear := c.lanes((*[4 * laneSize]byte)(part[at:]), mask)
		if !clear {
			break // the place is in these lanes; which one is first is found one by one
		}
		c.fingerprint = last
		at += 4 * laneSize
	}
	fingerprint := c.fingerprint
	for ; at < len(part); at++ {
		fingerprint = fingerprint<<1 + c.table[part[at]]
		if fingerprint&mask == 0 {
			return at, true
		}
	}
	c.fingerprint = fingerprint
	return at, false
}

// lanes looks at four stretches of a block at the same time. It returns the fingerprint of the
// block's last byte, and whether no place in the block was found.
func (c *cutter) lanes(block *[4 * laneSize]byte, mask uint64) (last uint64, clear bool) {
	table := &c.table
	p0, p1, p2, p3 := (*[laneSize]byte)(block[:]), (*[laneSize]byte)(block[laneSize:]), (*[laneSize]byte)(block[2*laneSize:]), (*[laneSize]byte)(block[3*laneSize:])
	f0, f1, f2, f3 := c.fingerprint, uint64(0), uint64(0), uint64(0)
	for i := laneSize - window; i < laneSize; i++ {
		f1, f2, f3 = f1<<1+table[p0[i]], f2<<1+table[p1[i]], f3<<1+table[p2[i]]
	}
	for i := range laneSize {
		f0 = f0<<1 + table[p0[i]]
		f1 = f1<<1 + table[p1[i]]
		f2 = f2<<1 + table[p2[i]]
		f3 = f3<<1 + table[p3[i]]
		if f0&mask == 0 || f1&mask == 0 || f2&mask == 0 || f3&mask == 0 {
			return 0, false
		}
	}
	return f3, true
}
