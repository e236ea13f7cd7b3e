package storage

import (
	"fmt"
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// The longest keys that every backend takes, in bytes.
const (
	MaxKeyLength     = domain.MaxObjectKeyLength
	MaxElementLength = domain.MaxObjectElementLength
)

// Reserved is the first element that no key may have: stores that are directories keep uploads in
// flight there. It is reserved everywhere, so that a repository can be copied between backends.
const Reserved = domain.ReservedObjectElement

// CheckKey refuses, with failure.ConfigInvalid, a key outside the rules of Store.
func CheckKey(op, key string) error {
	if problem := domain.ObjectKeyProblem(key); problem != "" {
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
	problem := domain.ObjectKeyProblem(whole)
	if strings.HasSuffix(whole, "/") || whole == "" {
		problem = "has an empty element"
	}
	// The last element may be the beginning of a longer one: "." is fine as the start of ".x".
	if last := whole[strings.LastIndexByte(whole, '/')+1:]; whole == prefix && (last == "." || last == "..") {
		problem = domain.ObjectKeyProblem(whole + "x")
	}
	if problem != "" {
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("prefix %q %s", shorten(prefix), problem), "")
	}
	return nil
}

func shorten(text string) string {
	if len(text) > 200 {
		return text[:200] + "…"
	}
	return text
}
