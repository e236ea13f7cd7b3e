package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
)

// pieceSize is about how much of a manifest is in memory while it is written.
const pieceSize = 64 * kib

// macTail is the end of a manifest. Everything before it is the body that the MAC covers.
const macTail = ",\n  \"mac\": \"%x\"\n}\n"

// macTailLength is the length of macTail with its 64 digits.
const macTailLength = len(macTail) - len("%x") + 64

// pieces generates the document. A manifest of a million chunks is well over 100 MB of text, so it
// is made piece by piece each time it is needed and never held; the same manifest always gives the
// same bytes.
func (m *Manifest) pieces(key [32]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		w := &pieceWriter{yield: yield}
		body := sha256.New()
		w.onFlush = func(p []byte) { body.Write(p) }
		if err := m.writeBody(w); err != nil {
			if !w.stopped {
				yield(nil, err)
			}
			return
		}
		if w.flush(); w.stopped {
			return
		}
		yield(fmt.Appendf(nil, macTail, manifestMAC(key, [32]byte(body.Sum(nil)))), nil)
	}
}

// manifestMAC is BLAKE3-256 of the body's SHA-256, keyed from the generation's secret. The detour
// through SHA-256 lets a reader hash the body before it has the key.
func manifestMAC(key, bodyHash [32]byte) [32]byte {
	h := newHash(key)
	h.Write(bodyHash[:])
	return sum(h)
}

// pieceWriter collects text and yields it in pieces.
type pieceWriter struct {
	bytes.Buffer
	yield   func([]byte, error) bool
	onFlush func([]byte)
	stopped bool
}

func (w *pieceWriter) flush() {
	if !w.stopped && w.Len() > 0 {
		w.onFlush(w.Bytes())
		w.stopped = !w.yield(w.Bytes(), nil)
	}
	w.Reset()
}

func (w *pieceWriter) flushIfLarge() {
	if w.Len() >= pieceSize {
		w.flush()
	}
}

// writeBody writes the document up to, not including, what macTail holds.
func (m *Manifest) writeBody(w *pieceWriter) error {
	if err := writeOpenObject(w, m.headerDocument(), ""); err != nil {
		return err
	}
	w.WriteString(",\n  \"streams\": [")
	for i, s := range m.Streams {
		w.WriteString(separator(i) + "\n    ")
		if err := m.writeStream(w, s); err != nil {
			return err
		}
	}
	w.WriteString("\n  ],\n  \"objects\": [")
	for i, o := range m.Objects {
		fmt.Fprintf(w, "%s\n    [%d, %q, %d, %d, \"%x\"]", separator(i),
			o.directory, chunkPath(o.ID, o.encoding), o.PlainBytes, o.StoredBytes, o.Checksum)
		if w.flushIfLarge(); w.stopped {
			return nil
		}
	}
	w.WriteString("\n  ]")
	return nil
}

func (m *Manifest) writeStream(w *pieceWriter, s Stream) error {
	if err := writeOpenObject(w, s.document(), "    "); err != nil {
		return err
	}
	w.WriteString(",\n      \"chunks\": [")
	for i, chunk := range s.Chunks {
		w.WriteString(separator(i))
		if i > 0 && i%20 == 0 {
			w.WriteString("\n        ")
		}
		w.Write(strconv.AppendUint(w.AvailableBuffer(), uint64(chunk), 10))
		if w.flushIfLarge(); w.stopped {
			return nil
		}
	}
	w.WriteString("]\n    }")
	return nil
}

func separator(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

// writeOpenObject writes v as an indented JSON object without its closing brace.
func writeOpenObject(w *pieceWriter, v any, indent string) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent(indent, "  ")
	if err := encoder.Encode(v); err != nil {
		return err
	}
	w.Write(bytes.TrimSuffix(text.Bytes(), []byte("\n"+indent+"}\n")))
	return nil
}

// manifestBody reads the document as the body of a Put, from the beginning as often as needed.
type manifestBody struct {
	manifest *Manifest
	key      [32]byte

	next func() ([]byte, error, bool)
	stop func()
	rest []byte
	read int64
}

// Read generates as much as is asked for.
func (b *manifestBody) Read(p []byte) (int, error) {
	if b.next == nil {
		b.next, b.stop = iter.Pull2(b.manifest.pieces(b.key))
	}
	for len(b.rest) == 0 {
		piece, err, ok := b.next()
		if !ok {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		b.rest = piece
	}
	n := copy(p, b.rest)
	b.rest, b.read = b.rest[n:], b.read+int64(n)
	return n, nil
}

// Seek goes back to the start, or says where it is; nothing else is needed to repeat a Put.
func (b *manifestBody) Seek(offset int64, whence int) (int64, error) {
	switch {
	case whence == io.SeekCurrent && offset == 0:
		return b.read, nil
	case whence == io.SeekStart && offset == 0:
		b.close()
		b.next, b.rest, b.read = nil, nil, 0
		return 0, nil
	default:
		return 0, fmt.Errorf("a manifest can only be read from its start")
	}
}

func (b *manifestBody) close() {
	if b.stop != nil {
		b.stop()
	}
}
