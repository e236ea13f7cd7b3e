package mongodb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/bson"
)

// patched is a document after an update that the oplog describes as a difference (version 2, MongoDB 5 and
// newer: src/mongo/db/update/document_diff_serialization.h). Fields keep their places, new ones come last.
func patched(document, diff bson.D) (bson.D, error) {
	document = slices.Clone(document)
	for _, section := range diff {
		fields, is := section.Value.(bson.D)
		if !is {
			return nil, fmt.Errorf("section %q of the difference is no document", section.Key)
		}
		switch {
		case section.Key == "d":
			for _, field := range fields {
				document = slices.DeleteFunc(document, func(e bson.E) bool { return e.Key == field.Key })
			}
		case section.Key == "i": // what is there already moves to the end, as the server does it
			for _, field := range fields {
				document = append(slices.DeleteFunc(document, func(e bson.E) bool { return e.Key == field.Key }), field)
			}
		case section.Key == "u":
			for _, field := range fields {
				document = withField(document, field)
			}
		case strings.HasPrefix(section.Key, "s"):
			name := section.Key[1:]
			at := slices.IndexFunc(document, func(e bson.E) bool { return e.Key == name })
			if at < 0 {
				continue // a later change has removed it
			}
			value, err := patchedValue(document[at].Value, fields)
			if err != nil {
				return nil, err
			}
			document[at].Value = value
		default:
			return nil, fmt.Errorf("the difference has a section %q, which is not known", section.Key)
		}
	}
	return document, nil
}

func withField(document bson.D, field bson.E) bson.D {
	at := slices.IndexFunc(document, func(e bson.E) bool { return e.Key == field.Key })
	if at < 0 {
		return append(document, field)
	}
	document[at].Value = field.Value
	return document
}

// patchedValue is a field's value. One that is of another kind by now stays: a later change has made it so.
func patchedValue(value any, diff bson.D) (any, error) {
	ofArray := len(diff) > 0 && diff[0].Key == "a"
	switch v := value.(type) {
	case bson.D:
		if ofArray {
			return value, nil
		}
		return patched(v, diff)
	case bson.A:
		if !ofArray {
			return value, nil
		}
		return patchedArray(v, diff[1:])
	}
	return value, nil
}

// maxArray is more elements than a document has room for.
const maxArray = 16 << 20

func patchedArray(array bson.A, diff bson.D) (bson.A, error) {
	array = slices.Clone(array)
	for _, section := range diff {
		if section.Key == "l" {
			length := number(section.Value)
			if length < 0 || length > maxArray {
				return nil, fmt.Errorf("an array of %d elements", length)
			}
			array = resized(array, int(length))
			continue
		}
		if len(section.Key) < 2 {
			return nil, fmt.Errorf("the difference of an array has a section %q, which is not known", section.Key)
		}
		at, err := strconv.Atoi(section.Key[1:])
		if err != nil || at < 0 || at > maxArray {
			return nil, fmt.Errorf("the difference of an array has a section %q, which is not known", section.Key)
		}
		switch section.Key[0] {
		case 'u':
			array = resized(array, max(len(array), at+1))
			array[at] = section.Value
		case 's':
			fields, is := section.Value.(bson.D)
			if !is {
				return nil, fmt.Errorf("section %q of the difference is no document", section.Key)
			}
			if at >= len(array) {
				continue
			}
			if array[at], err = patchedValue(array[at], fields); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("the difference of an array has a section %q, which is not known", section.Key)
		}
	}
	return array, nil
}

// resized cuts an array, or fills it up with nulls.
func resized(array bson.A, length int) bson.A {
	for len(array) < length {
		array = append(array, nil)
	}
	return array[:length]
}
