package notify

import (
	"strings"
	"unicode/utf8"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// answerKept is how much is shown of what a server said, in characters, and answerLooked how much is looked at, in bytes.
const (
	answerKept   = 300
	answerLooked = 8 << 10
)

// Shown is what people are shown of a text that a server wrote: one line, without the secrets that it may repeat, and not
// all of a long one. Secrets go before anything is cut: of one that lies across a cut the beginning would stay.
// cutOff: the text was not read to its end, which so may be within a secret.
func Shown(text string, cutOff bool, secrets []string) string {
	if text = oneLine(whole(text)); len(text) > answerLooked {
		text, cutOff = whole(text[:answerLooked]), true
	}
	redact := failure.Redact
	if cutOff {
		redact = failure.RedactCut
	}
	return Cut(redact(text, written(secrets)...), answerKept)
}

// whole is a text as UTF-8, without the beginning of a character at its end.
func whole(text string) string {
	for range utf8.UTFMax - 1 {
		if r, size := utf8.DecodeLastRuneInString(text); r != utf8.RuneError || size != 1 {
			break
		}
		text = text[:len(text)-1]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// ShownError is an error that quotes a server, with the text that people are shown of it.
func ShownError(err error, secrets []string) error {
	return shownError{Shown(err.Error(), false, secrets), err}
}

type shownError struct {
	text  string
	cause error
}

func (s shownError) Error() string { return s.text }

func (s shownError) Unwrap() error { return s.cause }
