package mysql

// pieces are bytes on their way to a reader: nearly all of a dump passes as it came, and is not copied before it is read.
type pieces struct {
	list   [][]byte
	at     int    // the first of list that has not been read
	copied []byte // where Write keeps what it is given
}

// keptCopy bounds what of copied is used again, in bytes.
const keptCopy = 1 << 20

// empty reports whether all has been read.
func (p *pieces) empty() bool { return p.at == len(p.list) }

// show adds b, which must stay as it is until all has been read.
func (p *pieces) show(b []byte) {
	if len(b) == 0 {
		return
	}
	if n := len(p.list); n > p.at {
		last := p.list[n-1]
		if free := last[len(last):cap(last)]; len(free) >= len(b) && &free[:1][0] == &b[0] {
			p.list[n-1] = last[:len(last)+len(b)]
			return
		}
	}
	p.list = append(p.list, b)
}

// Write adds a copy of b.
func (p *pieces) Write(b []byte) (int, error) {
	p.copied = append(p.copied, b...)
	p.show(p.copied[len(p.copied)-len(b):])
	return len(b), nil
}

// WriteString adds a copy of s.
func (p *pieces) WriteString(s string) {
	p.copied = append(p.copied, s...)
	p.show(p.copied[len(p.copied)-len(s):])
}

// Read takes what there is, which may be nothing.
func (p *pieces) Read(b []byte) (n int, _ error) {
	for n < len(b) && !p.empty() {
		piece := p.list[p.at]
		took := copy(b[n:], piece)
		n += took
		if p.list[p.at] = piece[took:]; took == len(piece) {
			p.at++
		}
	}
	if p.empty() {
		p.list, p.at = p.list[:0], 0
		if p.copied = p.copied[:0]; cap(p.copied) > keptCopy {
			p.copied = nil
		}
	}
	return n, nil
}
