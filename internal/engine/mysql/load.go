package mysql

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// loader is a dump as it is loaded into a staging database: what names the database it was made from names
// the staging instead, and events do not run there.
type loader struct {
	*followed
	out     bytes.Buffer
	scratch []byte
	done    error

	source  string // the database the dump was made from
	staging string
	// keepDefiners: the user may give programs to others. Otherwise they are the user's own.
	keepDefiners bool

	collations *collations // nil replaces none

	definers map[account]bool // of programs
	enabled  map[string]bool  // events that run where they come from
	first    bool
}

func newLoader(dump io.Reader, source, staging string, keepDefiners bool) *loader {
	l := &loader{
		followed: follow(dump), scratch: make([]byte, 256<<10), source: source, staging: staging, keepDefiners: keepDefiners,
		definers: map[account]bool{}, enabled: map[string]bool{}, first: true,
	}
	l.script.out = &l.out
	l.script.statement = l.rewrite
	return l
}

func (l *loader) Read(p []byte) (int, error) {
	for l.out.Len() == 0 {
		if l.done != nil {
			return 0, l.done
		}
		// What was read with an error is not passed on: the client must not take it for all there is.
		if _, err := l.followed.Read(l.scratch); err != nil {
			l.done = err
			if errors.Is(err, io.EOF) {
				l.script.close()
			}
		}
	}
	return l.out.Read(p)
}

// An identifier is quoted in one way or, under sql_mode ANSI_QUOTES, in another, or not at all.
const (
	quotedIdentifier = "(?:`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\")"
	identifier       = "(?:" + quotedIdentifier + "|[\\w$]+)"
)

var (
	alterDatabase = regexp.MustCompile("(?i)^ALTER\\s+DATABASE\\s+(" + identifier + ")")
	definer       = regexp.MustCompile("DEFINER\\s*=\\s*(" + quotedIdentifier + ")(?:@(" + quotedIdentifier + "))?\\s*")
	triggerNames  = regexp.MustCompile("(?is)(TRIGGER\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?)(?:" + identifier + "\\s*\\.\\s*)?(" + identifier +
		"\\s+(?:BEFORE|AFTER)\\s+(?:INSERT|UPDATE|DELETE)\\s+ON\\s+)(?:" + identifier + "\\s*\\.\\s*)?(" + identifier + "\\s+FOR\\s+EACH\\s+ROW)")
	createEvent  = regexp.MustCompile("(?s)EVENT\\s+(" + quotedIdentifier + ")\\s+ON\\s+SCHEDULE\\s.*?(ON\\s+COMPLETION\\s+(?:NOT\\s+)?PRESERVE\\s+)ENABLE\\b")
	anyCreate    = regexp.MustCompile(`(?i)^CREATE\s`)
	createOfWhat = regexp.MustCompile(`(?i)\b(TRIGGER|EVENT|VIEW|FUNCTION|PROCEDURE|PACKAGE|TABLE)\b`)
)

// rewrite gives a statement as it is loaded.
func (l *loader) rewrite(text []byte) ([]byte, error) {
	if l.first {
		l.first = false
		text = bytes.Replace(text, sandboxLine, nil, 1) // the client runs in binary mode, which forbids as much
	}
	if _, err := checkStatement(text); err != nil {
		return nil, err
	}
	text = l.collations.in(text)
	head := headOf(text)
	if match := alterDatabase.FindSubmatch(head); match != nil {
		return bytes.Replace(text, match[1], []byte(quoted(l.staging)), 1), nil
	}
	if !anyCreate.Match(head) {
		return text, nil
	}
	switch string(bytes.ToUpper(createOfWhat.Find(head))) {
	case "TABLE":
		return []byte(withoutSequences(string(text), l.source)), nil
	case "VIEW":
		text = []byte(withoutDatabase(string(text), l.source))
	case "TRIGGER":
		text = replaceFirst(triggerNames, text, []byte("${1}${2}${3}"))
	case "EVENT":
		if asleep, name := disabledEvent(text); name != nil {
			l.enabled[bare(name)] = true
			text = asleep
		}
	}
	return l.withDefiner(text), nil
}

// disabledEvent gives an event that is enabled so that it does not run, and its name; of others no name.
func disabledEvent(text []byte) (asleep, name []byte) {
	match := createEvent.FindSubmatchIndex(text)
	if match == nil {
		return text, nil
	}
	return slices.Concat(text[:match[5]], []byte("DISABLE"), text[match[1]:]), text[match[2]:match[3]]
}

// withoutSequences leaves the database away from the sequences of a table's defaults.
func withoutSequences(text, database string) string {
	return strings.ReplaceAll(text, "val("+quoted(database)+".", "val(")
}

// withoutDatabase leaves the database away from the columns and functions of a view, where the server did not.
func withoutDatabase(text, database string) string {
	pattern := regexp.MustCompile(regexp.QuoteMeta(quoted(database)) + "\\.((?:`(?:[^`]|``)+`)(?:\\.`|\\())")
	return pattern.ReplaceAllString(text, "${1}")
}

// bare is an identifier without its quotes.
func bare(name []byte) string {
	if len(name) < 2 {
		return string(name)
	}
	quote := string(name[0])
	return strings.ReplaceAll(string(name[1:len(name)-1]), quote+quote, quote)
}

// withDefiner notes the definer of a program, and takes it away where the user may not set it.
func (l *loader) withDefiner(text []byte) []byte {
	match := definer.FindSubmatchIndex(text[:min(len(text), maxHead)])
	if match == nil {
		return text
	}
	if match[4] >= 0 { // not a role
		l.definers[account{user: bare(text[match[2]:match[3]]), host: bare(text[match[4]:match[5]])}] = true
	}
	if l.keepDefiners {
		return text
	}
	return slices.Concat(text[:match[0]], text[match[1]:])
}

func (l *loader) definerAccounts() []account {
	return slices.SortedFunc(maps.Keys(l.definers), func(a, b account) int { return strings.Compare(a.String(), b.String()) })
}

// replaceFirst replaces the first match by template.
func replaceFirst(pattern *regexp.Regexp, text, template []byte) []byte {
	match := pattern.FindSubmatchIndex(text)
	if match == nil {
		return text
	}
	return slices.Concat(text[:match[0]], pattern.Expand(nil, template, text, match), text[match[1]:])
}
