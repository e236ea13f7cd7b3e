package files

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// A path may hold any byte but NUL, and JSON holds only UTF-8: a byte that is none is written \xNN with two
// lower-case hexadecimal digits, and so is a backslash that would begin such an escape (\x5c).

// escapePath writes a path so that unescapePath gives the same again.
func escapePath(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); {
		r, size := utf8.DecodeRuneInString(path[i:])
		if _, looks := escapedByte(path[i:]); looks || (r == utf8.RuneError && size == 1) {
			b.WriteString(`\x` + hex.EncodeToString([]byte{path[i]}))
			i++
			continue
		}
		b.WriteString(path[i : i+size])
		i += size
	}
	return b.String()
}

// unescapePath is the path that escapePath wrote, or that somebody gave as it is.
func unescapePath(given string) string {
	var b strings.Builder
	for i := 0; i < len(given); i++ {
		if c, ok := escapedByte(given[i:]); ok {
			b.WriteByte(c)
			i += len(`\xNN`) - 1
			continue
		}
		b.WriteByte(given[i])
	}
	return b.String()
}

// escapedByte is the byte of an escape that text begins with.
func escapedByte(text string) (byte, bool) {
	const digits = "0123456789abcdef"
	if len(text) < 4 || text[:2] != `\x` {
		return 0, false
	}
	high, low := strings.IndexByte(digits, text[2]), strings.IndexByte(digits, text[3])
	if high < 0 || low < 0 {
		return 0, false
	}
	return byte(high<<4 | low), true //nolint:gosec // two digits
}
