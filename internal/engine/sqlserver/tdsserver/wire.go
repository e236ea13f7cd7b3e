package tdsserver

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"unicode/utf16"
)

const packetSize = 4096

type message struct {
	kind byte
	data []byte
}

// readMessage reads packets up to the one that ends a message.
func readMessage(r io.Reader) (message, error) {
	var m message
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return m, err
		}
		length := int(binary.BigEndian.Uint16(head[2:]))
		if length < len(head) {
			return m, errors.New("a packet shorter than its header")
		}
		data := make([]byte, length-len(head))
		if _, err := io.ReadFull(r, data); err != nil {
			return m, err
		}
		m.kind, m.data = head[0], append(m.data, data...)
		if head[1]&1 == 1 {
			return m, nil
		}
	}
}

func writeMessage(w io.Writer, data []byte) error { return writePackets(w, packetReply, data) }

func writePackets(w io.Writer, kind byte, data []byte) error {
	for number := byte(1); ; number++ {
		part := data[:min(len(data), packetSize-8)]
		data = data[len(part):]
		head := []byte{kind, 0, 0, 0, 0, 0, number, 0}
		if len(data) == 0 {
			head[1] = 1
		}
		binary.BigEndian.PutUint16(head[2:], uint16(len(part)+8)) //nolint:gosec // at most packetSize
		if _, err := w.Write(append(head, part...)); err != nil {
			return err
		}
		if len(data) == 0 {
			return nil
		}
	}
}

// withoutHeaders takes away the ALL_HEADERS of a request.
func withoutHeaders(data []byte) []byte { return data[binary.LittleEndian.Uint32(data):] }

func text16(data []byte) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units))
}

func bytes16(text string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return out
}

// The flags of a DONE token.
const (
	doneMore      = 0x01
	doneError     = 0x02
	doneCount     = 0x10
	doneAttention = 0x20
)

// tokens is an answer.
type tokens struct{ bytes.Buffer }

func (t *tokens) number(value any) { _ = binary.Write(t, binary.LittleEndian, value) }

func (t *tokens) short(text string) {
	data := bytes16(text)
	t.WriteByte(byte(len(data) / 2))
	t.Write(data)
}

func (t *tokens) long(text string) {
	data := bytes16(text)
	t.number(uint16(len(data) / 2)) //nolint:gosec // short texts
	t.Write(data)
}

func (t *tokens) done(status uint16, rows int) {
	t.WriteByte(0xFD)
	t.number(status)
	t.number(uint16(0))
	t.number(uint64(rows)) //nolint:gosec // not negative
}

func (t *tokens) message(kind byte, number int32, class byte, text string) {
	var body tokens
	body.number(number)
	body.WriteByte(1)
	body.WriteByte(class)
	body.long(text)
	body.short("tdsserver")
	body.short("")
	body.number(int32(1))
	t.WriteByte(kind)
	t.number(uint16(body.Len())) //nolint:gosec // short texts
	t.Write(body.Bytes())
}

func (t *tokens) errors(all ...SQLError) {
	for _, one := range all {
		t.message(0xAA, one.Number, 16, one.Message)
	}
	t.done(doneError, 0)
}

func (t *tokens) envChange(change []byte) {
	t.WriteByte(0xE3)
	t.number(uint16(len(change))) //nolint:gosec // short
	t.Write(change)
}

// parseRPC reads the statement and the parameters of sp_executesql.
func parseRPC(data []byte) (statement string, params []any) {
	data = data[6:] // 0xFFFF, the procedure's number, flags
	var values []any
	for len(data) > 0 {
		name := int(data[0])
		data = data[1+2*name+1:]
		var value any
		value, data = parseParam(data)
		values = append(values, value)
	}
	statement, _ = values[0].(string)
	return statement, values[2:]
}

func parseParam(data []byte) (value any, rest []byte) {
	switch data[0] {
	case NVarChar.token():
		size := binary.LittleEndian.Uint16(data[1:])
		data = data[8:]
		if size == 0xFFFF {
			return parseChunks(data[8:])
		}
		length := int(binary.LittleEndian.Uint16(data))
		return text16(data[2 : 2+length]), data[2+length:]
	case BigInt.token():
		length := int(data[2])
		var number int64
		for i := range length {
			number |= int64(data[3+i]) << (8 * i)
		}
		return number, data[3+length:]
	}
	panic("tdsserver knows no parameters of this type")
}

func parseChunks(data []byte) (value any, rest []byte) {
	var text []byte
	for {
		length := int(binary.LittleEndian.Uint32(data))
		data = data[4:]
		if length == 0 {
			return text16(text), data
		}
		text = append(text, data[:length]...)
		data = data[length:]
	}
}

// handshake wraps the packets of a TLS handshake in those of TDS; after it they pass as they are.
type handshake struct {
	net.Conn
	over    bool
	pending []byte
}

func (h *handshake) Read(p []byte) (int, error) {
	if len(h.pending) == 0 {
		if h.over {
			return h.Conn.Read(p)
		}
		m, err := readMessage(h.Conn)
		if err != nil {
			return 0, err
		}
		h.pending = m.data
	}
	n := copy(p, h.pending)
	h.pending = h.pending[n:]
	return n, nil
}

func (h *handshake) Write(p []byte) (int, error) {
	if h.over {
		return h.Conn.Write(p)
	}
	return len(p), writePackets(h.Conn, packetPrelogin, p)
}
