package mysql

import (
	"bytes"
	"io"
	"regexp"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// script follows the SQL of a dump that is written to it piece by piece, as the client tools read it: statements
// end with a delimiter outside of quotes and comments. The rows of an INSERT, nearly all of a dump, are only
// searched for their end: in them the dump tools escape line breaks, so ";\n" is never data.
type script struct {
	// statement is told of each statement, with what stands before it, and returns what goes to out in its place.
	statement func(text []byte) ([]byte, error)
	// wanted, where set, is asked whether the rows of an INSERT go to out.
	wanted func(header []byte) bool
	// out, where set, gets the whole script, and keeps nothing that it is given.
	out io.Writer
	// cuts, where set, begins the INSERTs of dumps with a row a line elsewhere.
	cuts *cuts

	tables int // tables that are created

	text       []byte // since the last statement
	piece      int    // where in it the part begins that follows the last semicolon
	started    bool   // text has more than space and comments
	state      lexState
	escaped    bool // the next character of a quoted text is taken as it is
	literal    bool // backslashes escape nothing
	delimiter  []byte
	rows       bool // in the rows of an INSERT
	fresh      bool // before the first of them
	cutting    bool // they go through cuts
	left       bool // they go nowhere
	headerLine bool // the line of the header has not ended
	semicolon  bool // the last byte of rows was one
	err        error
}

type lexState byte

const (
	inCode         lexState = 0
	inLineComment  lexState = '-'
	inBlockComment lexState = '*'
	// The quoting ones are the quote itself.
)

// maxStatement bounds what is kept of a statement in bytes; a longer one is passed on as it is.
const maxStatement = 64 << 20

func newScript() *script {
	return &script{delimiter: []byte(";"), statement: checkStatement}
}

// Write looks at p and keeps nothing of it.
func (s *script) Write(p []byte) (int, error) {
	whole := len(p)
	for len(p) > 0 && s.err == nil {
		if s.rows {
			if s.fresh {
				s.beginRows(p[0])
			}
			if s.err == nil {
				p = p[s.passRows(p):]
			}
			continue
		}
		s.character(p[0])
		p = p[1:]
	}
	return whole, s.err
}

// beginRows passes the header of an INSERT on; next is what follows it.
func (s *script) beginRows(next byte) {
	s.fresh, s.started, s.semicolon = false, false, false
	if _, s.err = checkStatement(s.text); s.err != nil {
		return
	}
	s.left = s.wanted != nil && !s.wanted(s.text)
	if s.left {
		s.text, s.piece = s.text[:0], 0
		return
	}
	s.cutting = s.cuts != nil && next == '\n'
	if !s.cutting {
		if s.cuts != nil {
			s.cuts.count.begin(s.text)
		}
		s.pass(s.text)
	} else {
		s.cuts.begin(s.text)
		s.headerLine = true
	}
	s.text, s.piece = s.text[:0], 0
}

// passRows passes what belongs to an INSERT on, and returns how much that was.
func (s *script) passRows(p []byte) int {
	n := len(p)
	if s.headerLine { // begin wrote its end
		s.headerLine = false
		return 1
	}
	if s.cutting {
		n, ended := s.cuts.rows(p)
		s.rows = !ended
		return n
	}
	if s.semicolon && p[0] == '\n' {
		n, s.rows = 1, false
	} else if at := bytes.Index(p, []byte(";\n")); at >= 0 {
		n, s.rows = at+2, false
	}
	if s.cuts != nil {
		s.cuts.count.within(p[:n])
	}
	s.semicolon = p[n-1] == ';'
	if !s.left {
		s.pass(p[:n])
	}
	return n
}

func (s *script) pass(p []byte) {
	if s.cuts != nil && len(p) > 0 {
		s.cuts.end()
	}
	if s.out != nil {
		_, _ = s.out.Write(p) // memory
	}
}

// character takes one character outside of rows.
func (s *script) character(c byte) {
	s.text = append(s.text, c)
	switch s.state {
	case inCode:
		s.code(c)
	case inLineComment:
		if c == '\n' {
			s.state = inCode
			s.commentEnds()
		}
	case inBlockComment:
		if c == '!' && (bytes.HasSuffix(s.text, []byte("/*!")) || bytes.HasSuffix(s.text, []byte("/*M!"))) {
			s.state, s.started = inCode, true // for some versions it is code
			return
		}
		if c == '/' && bytes.HasSuffix(s.text, []byte("*/")) {
			s.state = inCode
			s.commentEnds()
		}
	default:
		s.quotedText(c)
	}
	if len(s.text) >= maxStatement {
		s.pass(s.text)
		s.text, s.piece = s.text[:0], 0
	}
}

func (s *script) quotedText(c byte) {
	switch {
	case s.escaped:
		s.escaped = false
	case c == '\\' && s.state != '`' && !s.literal:
		s.escaped = true
	case c == byte(s.state): // a doubled quote begins the next quoted text
		s.state = inCode
	}
}

// commentEnds lets go of comments before a statement.
func (s *script) commentEnds() {
	if !s.started {
		s.pass(s.text)
		s.text, s.piece = s.text[:0], 0
	}
}

func (s *script) code(c byte) {
	switch c {
	case '\'', '"', '`':
		s.state = lexState(c)
	case ' ', '\t', '\r':
		if bytes.HasSuffix(s.text, []byte("-- ")) || bytes.HasSuffix(s.text, []byte("--\t")) {
			s.state = inLineComment
			return
		}
	case '\n':
		s.line()
		return
	case '#':
		s.state = inLineComment
		return
	case '-', '/': // of a comment, or of something that goes on, or the end of one with code in it
		return
	case '*':
		if bytes.HasSuffix(s.text, []byte("/*")) {
			s.state = inBlockComment
		}
		return
	case 'S':
		if bytes.HasSuffix(s.text, []byte(" VALUES")) && insert.Match(s.text) {
			s.rows, s.fresh = true, true
			return
		}
	}
	if !isBlank(c) {
		s.started = true
	}
	if c == ';' || c == s.delimiter[len(s.delimiter)-1] {
		s.mayEnd(c)
	}
}

// mayEnd is called at what may be the end of a statement, or of a part of one.
func (s *script) mayEnd(c byte) {
	switch {
	case delimiterCommand.Match(s.text):
	case bytes.HasSuffix(s.text, s.delimiter):
		s.ends()
	case c == ';':
		s.checkPiece()
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

var (
	insert = regexp.MustCompile(`^\s*(?:INSERT|REPLACE) `)
	// delimiterCommand ends with its line, whatever delimiters are in it.
	delimiterCommand = regexp.MustCompile(`(?i)^\s*DELIMITER\s`)
	delimiterLine    = regexp.MustCompile(`(?i)^\s*DELIMITER\s+(\S+)\s*$`)
)

// line ends a line of code: an empty comment, or a command of the client.
func (s *script) line() {
	if bytes.HasSuffix(s.text, []byte("--\n")) && !s.started {
		s.commentEnds()
		return
	}
	if len(s.text) > 200 {
		return
	}
	if match := delimiterLine.FindSubmatch(s.text); match != nil {
		s.delimiter = append([]byte{}, match[1]...)
		s.pass(s.text)
		s.text, s.piece, s.started = s.text[:0], 0, false
	}
}

// checkPiece looks at a part of a statement that holds others: the client sends them together, and the server runs
// those behind the first. What a program does may name other databases.
func (s *script) checkPiece() {
	check := checkStatement
	if s.piece > 0 && isProgram(s.text) {
		check = checkForeign
	}
	if _, err := check(s.text[s.piece:]); err != nil {
		s.err = err
	}
	s.piece = len(s.text)
}

// ends ends a statement.
func (s *script) ends() {
	head := headOf(s.text)
	switch {
	case createTable.Match(head):
		s.tables++
	case bytes.Contains(head, []byte("sql_mode")) || bytes.Contains(head, []byte("SQL_MODE")):
		s.literal = bytes.Contains(s.text, []byte("NO_BACKSLASH_ESCAPES"))
	}
	if s.checkPiece(); s.err != nil {
		return
	}
	text, err := s.statement(s.text)
	if err != nil {
		s.err = err
		return
	}
	s.pass(text)
	s.text, s.piece, s.started = s.text[:0], 0, false
}

// close says that the script ended.
func (s *script) close() {
	s.pass(s.text)
	s.text = nil
	if s.cuts != nil {
		s.cuts.count.settle()
	}
}

var versionComment = regexp.MustCompile(`/\*M?!\d*\s*|\*/`)

// maxHead is how much of a statement says what it is.
const maxHead = 1024

// headOf is the beginning of a statement without space and version comments around its words.
func headOf(statement []byte) []byte {
	statement = bytes.TrimLeft(statement, " \t\r\n")
	statement = statement[:min(len(statement), maxHead)]
	return bytes.TrimLeft(versionComment.ReplaceAll(statement, nil), " \t\r\n")
}

var (
	createTable = regexp.MustCompile(`(?i)^CREATE\s+TABLE\s`)
	foreign     = regexp.MustCompile(`(?i)^(?:USE\s|(?:CREATE|DROP)\s+(?:DATABASE|SCHEMA)\b|(?:CREATE|DROP|ALTER|RENAME)\s+USER\b|GRANT\s|REVOKE\s)`)
)

var errForeign = failure.New(failure.Corrupt, "read the dump", "it has a statement that reaches beyond its database",
	"A dump of DataGuardian has none; restore another backup.")

// checkStatement refuses statements that would leave the database that is loaded into. It finds what is written plainly; what
// a dump may do in the end are the rights of the user who loads it.
func checkStatement(text []byte) ([]byte, error) {
	if reachesBeyond(text) {
		return nil, errForeign
	}
	return checkForeign(text)
}

func checkForeign(text []byte) ([]byte, error) {
	if foreign.Match(headOf(text)) {
		return nil, errForeign
	}
	return text, nil
}
