package archive

import "io"

// Parted is a stream that knows where parts of it begin that change apart from each other, such as the tables of a dump.
// Writer.WriteStream ends chunks there too, so that what changed in one part stores nothing of its neighbours again. Where
// parts begin has to follow from the content alone.
type Parted interface {
	io.Reader

	// Parts are the offsets in the stream, ascending, of the parts that begin in what the last Read gave, if that was anything. The slice is good
	// until the next Read.
	Parts() []int64
}

// edges are the beginnings of parts in what was read last, on their way to a cutter.
type edges struct {
	parted Parted // nil for a stream that has no parts
	next   []int64
	before int64 // where the part began that is being read
}

func edgesOf(r io.Reader) *edges {
	parted, _ := r.(Parted)
	return &edges{parted: parted}
}

// read is called after each Read.
func (e *edges) read() {
	if e.parted != nil {
		e.next = e.parted.Parts()
	}
}

// limit is where the cutter is to stop: at the next edge or, without one, at end. Both are counted from offset of the stream.
func (e *edges) limit(offset int64, end int) int {
	if len(e.next) == 0 {
		return end
	}
	return int(e.next[0] - offset)
}

// pass goes over the next edge, if there is one, and reports whether there was and whether the chunk ends there.
func (e *edges) pass(c *cutter) (passed, ends bool) {
	if len(e.next) == 0 {
		return false, false
	}
	ends = c.edge(e.next[0] - e.before)
	e.before, e.next = e.next[0], e.next[1:]
	return true, ends
}
