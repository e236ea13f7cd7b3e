package engine

import "io"

// Segmented is a stream made of segments, which a Sink takes in place of a plain reader: one whose
// Read is never called. Every segment begins and ends at a chunk boundary, so that a later backup can
// name it without reading its data again. A segment of a few MiB costs little; many short ones make
// many short chunks.
type Segmented interface {
	io.Reader

	// Next returns the next segment, and io.EOF after the last one. The data of the segment before has
	// been read to its end by then.
	Next() (Segment, error)
}

// Segment is a part of a Segmented stream: new data, or data that the base has.
type Segment struct {
	Data io.Reader // nil: it is Base
	// Base is a range of a stream of DumpOptions.Base that began and ended as a segment there: its bytes
	// are part of this stream too, and are neither read nor stored again. Base.Reusable has said yes to it.
	Base Range
}

// Range is part of a stored stream, in bytes.
type Range struct {
	Stream string
	Offset int64
	Bytes  int64
}
