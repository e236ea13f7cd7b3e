package activities

import (
	"errors"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// statementFailure is the error of somebody's statement. Only a lost connection is worth another try, which
// loads everything again.
func statementFailure(op, statement string, err error) error {
	switch class := failure.ClassOf(err); class {
	case failure.Unreachable, failure.Timeout, failure.Cancelled:
		return failure.Wrap(class, op, err, "")
	}
	return &failure.Error{Class: failure.ConfigInvalid, Op: op, Cause: errors.New(withoutData(failure.Message(err), statement)), Hint: "Mend the statement in the job. The target is as it was."}
}

var (
	// namesOf is what stands before a name that servers quote.
	namesOf = regexp.MustCompile(`(?i)\b(?:column|constraint|database|domain|field|function|index|key|object|operator|procedure|relation|routine|schema|sequence|table|trigger|type|user|view)(?: name)? $`)
	state   = regexp.MustCompile(`\((?:SQLSTATE )?[0-9A-Z]{5}\)`)
)

// withoutData ends a server's message where it begins to quote something that is neither a name nor a part of the statement:
// a value of a row, which those who read executions are not to see. What follows a value may be a part of it.
func withoutData(message, statement string) string {
	for at := 0; at < len(message); {
		if strings.IndexByte(`'"(`, message[at]) < 0 || isApostrophe(message, at) {
			at++
			continue
		}
		closing := message[at]
		if closing == '(' {
			closing = ')'
		}
		length := strings.IndexByte(message[at+1:], closing)
		if length < 0 || !mayBeShown(message[:at], message[at:at+length+2], statement) {
			text := strings.TrimRight(message[:at], " ") + " …"
			if code := state.FindString(message[at:]); code != "" {
				text += " " + code
			}
			return text
		}
		at += length + 2
	}
	return message
}

// isApostrophe tells doesn't from a quote.
func isApostrophe(message string, at int) bool {
	before, _ := utf8.DecodeLastRuneInString(message[:at])
	after, _ := utf8.DecodeRuneInString(message[at+1:])
	return message[at] == '\'' && unicode.IsLetter(before) && unicode.IsLetter(after)
}

func mayBeShown(before, quoted, statement string) bool {
	inside := quoted[1 : len(quoted)-1]
	return namesOf.MatchString(before) || state.MatchString(quoted) || strings.Contains(statement, inside)
}
