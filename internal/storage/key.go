package storage

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// The longest keys that every backend takes, in bytes: S3 ends at 1,024 for a key, the common file
// systems at 255 for one element.
const (
	MaxKeyLength     = 1024
	MaxElementLength = 255
)

// Reserved is the first element that no key may have: stores that are directories keep uploads in
// flight there. It is reserved everywhere, so that a repository can be copied between backends.
const Reserved = ".tmp"

// CheckKey refuses, with failure.ConfigInvalid, a key outside the rules of Store.
func CheckKey(op, key string) error {
	if problem := keyProblem(key); problem != "" {
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("object key %q %s", shorten(key), problem), "")
	}
	return nil
}

// CheckPrefix refuses a listing prefix that no key could begin with. Unlike a key, a prefix may be
// empty and may end anywhere, also in a slash.
func CheckPrefix(op, prefix string) error {
	if prefix == "" {
		return nil
	}
	whole := strings.TrimSuffix(prefix, "/")
	problem := keyProblem(whole)
	if strings.HasSuffix(whole, "/") || whole == "" {
		problem = "has an empty element"
	}
	// The last element may be the beginning of a longer one: "." is fine as the start of ".x".
	if last := whole[strings.LastIndexByte(whole, '/')+1:]; whole == prefix && (last == "." || last == "..") {
		problem = keyProblem(whole + "x")
	}
	if problem != "" {
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("prefix %q %s", shorten(prefix), problem), "")
	}
	return nil
}

func keyProblem(key string) string {
	switch {
	case key == "":
		return "is empty"
	case len(key) > MaxKeyLength:
		return fmt.Sprintf("is %d bytes long; %d is the most", len(key), MaxKeyLength)
	case strings.ContainsRune(key, 0):
		return "contains a NUL"
	case !utf8.ValidString(key):
		return "is not UTF-8"
	}
	for i, element := range strings.Split(key, "/") {
		switch {
		case element == "":
			return "has an empty element"
		case element == "." || element == "..":
			return "has an element that is . or .."
		case len(element) > MaxElementLength:
			return fmt.Sprintf("has an element of %d bytes; %d is the most", len(element), MaxElementLength)
		case i == 0 && element == Reserved:
			return "begins with " + Reserved + ", which is reserved"
		}
	}
	return ""
}

func shorten(text string) string {
	if len(text) > 200 {
		return text[:200] + "…"
	}
	return text
}
