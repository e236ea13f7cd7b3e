package domain

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The longest keys that every storage takes, in bytes: S3 ends at 1,024 for a key, the common file
// systems at 255 for one element.
const (
	MaxObjectKeyLength     = 1024
	MaxObjectElementLength = 255
)

// ReservedObjectElement is the first element that no key may have: storages that are directories keep
// uploads in flight there.
const ReservedObjectElement = ".tmp"

// ObjectKeyProblem says what is wrong with the key of an object on a storage location, "" for a good
// one: a slash-separated relative path that can not lead out of the location's root.
func ObjectKeyProblem(key string) string {
	switch {
	case key == "":
		return "is empty"
	case len(key) > MaxObjectKeyLength:
		return fmt.Sprintf("is %d bytes long; %d is the most", len(key), MaxObjectKeyLength)
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
		case len(element) > MaxObjectElementLength:
			return fmt.Sprintf("has an element of %d bytes; %d is the most", len(element), MaxObjectElementLength)
		case i == 0 && element == ReservedObjectElement:
			return "begins with " + ReservedObjectElement + ", which is reserved"
		}
	}
	return ""
}
