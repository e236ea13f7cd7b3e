package mysql

import (
	"bytes"
	"slices"
	"strings"
)

// reachesBeyond reports whether a statement, one of those that change tables or drop something, is about something in a database
// that it names. The dump tools name none there: what they write is for the database that it is loaded into. What programs
// and views do is another matter: they may name others.
func reachesBeyond(statement []byte) bool {
	w := words{statement}
	verb := w.keyword()
	if !slices.Contains([]string{"CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE", "LOCK", "INSERT", "REPLACE", "UPDATE", "DELETE"}, verb) {
		return false
	}
	ofTable := false
	word := w.next()
	for ; slices.Contains(beforeName, strings.ToUpper(string(word))); word = w.next() {
		ofTable = ofTable || slices.Contains([]string{"TABLE", "TABLES", "SEQUENCE"}, strings.ToUpper(string(word)))
	}
	if (verb == "CREATE" || verb == "ALTER") && !ofTable {
		return false
	}
	severalNames := slices.Contains([]string{"DROP", "RENAME", "LOCK"}, verb)
	for word != nil {
		word = w.next()
		if string(word) == "." {
			return true
		}
		if !severalNames {
			return false
		}
		for word != nil && string(word) != "," && !strings.EqualFold(string(word), "TO") {
			word = w.next()
		}
		word = w.next()
	}
	return false
}

// beforeName are the words between what is done and the first name.
var beforeName = []string{
	"OR", "REPLACE", "TEMPORARY", "ONLINE", "IGNORE", "LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "QUICK", "INTO", "FROM", "IF", "NOT", "EXISTS",
	"TABLE", "TABLES", "SEQUENCE", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "PACKAGE", "BODY",
}

// isProgram reports whether a statement makes something that has statements in it.
func isProgram(statement []byte) bool {
	w := words{statement}
	if w.keyword() != "CREATE" {
		return false
	}
	for {
		switch w.keyword() {
		case kindTrigger, kindEvent, kindFunction, kindProcedure, kindPackage:
			return true
		case "", "TABLE", kindView, "SEQUENCE", "SELECT":
			return false
		}
	}
}

// words reads a statement word by word: space, comments and what marks code for some versions stand between them.
type words struct{ rest []byte }

// keyword is next in capitals.
func (w *words) keyword() string { return strings.ToUpper(string(w.next())) }

// next is a name, with its quotes, a word, or one character; nil at the end.
func (w *words) next() []byte {
	w.skip()
	n := bytes.IndexFunc(w.rest, func(r rune) bool { return !isWord(r) })
	switch {
	case len(w.rest) == 0:
		return nil
	case n < 0:
		n = len(w.rest)
	case n == 0:
		n = 1
		if quote := w.rest[0]; quote == '`' || quote == '"' {
			n = quotedName(w.rest, quote)
		}
	}
	word := w.rest[:n]
	w.rest = w.rest[n:]
	return word
}

func isWord(r rune) bool {
	return r == '_' || r == '$' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80
}

// quotedName is the length of the name that text begins with; a doubled quote is one of its characters.
func quotedName(text []byte, quote byte) int {
	for n := 1; n < len(text); n++ {
		if text[n] != quote {
			continue
		}
		if n+1 == len(text) || text[n+1] != quote {
			return n + 1
		}
		n++
	}
	return len(text)
}

// codeMark begins and ends code that is for some versions.
var codeMark = [][]byte{[]byte("/*!"), []byte("/*M!"), []byte("*/")}

func (w *words) skip() {
	for {
		w.rest = bytes.TrimLeft(w.rest, " \t\r\n\v\f")
		mark := slices.IndexFunc(codeMark, func(mark []byte) bool { return bytes.HasPrefix(w.rest, mark) })
		switch {
		case mark >= 0:
			w.rest = bytes.TrimLeft(w.rest[len(codeMark[mark]):], "0123456789")
		case bytes.HasPrefix(w.rest, []byte("/*")):
			w.after("*/")
		case bytes.HasPrefix(w.rest, []byte("#")), bytes.HasPrefix(w.rest, []byte("--")) && (len(w.rest) == 2 || w.rest[2] <= ' '):
			w.after("\n")
		default:
			return
		}
	}
}

func (w *words) after(end string) {
	_, w.rest, _ = bytes.Cut(w.rest, []byte(end))
}
