package api

import (
	"reflect"
	"strings"

	"github.com/google/uuid"
)

// The formats of fields that hold ids. Every field of a request that may hold one of ours has one of the two: what is decoded is
// lowered by them.
const (
	idFormat = "uuid" // always an id
	// maybeIDFormat is of a text that may be empty, or something else. Validation knows nothing of it.
	maybeIDFormat = "id"
)

// lowerIDs writes the ids in what was decoded as they are given out: in lower case. The database takes them in any, and so would
// find a thing that a limit, which compares texts, does not know again. It is called where requests are decoded: register, Patch
// and the documents of configuration as code.
func lowerIDs(decoded any) { lowerIn(reflect.ValueOf(decoded), "") }

// lowerIn changes in place what value points to. format is that of the field that it is.
func lowerIn(value reflect.Value, format string) {
	switch value.Kind() {
	case reflect.Pointer:
		if !value.IsNil() {
			lowerIn(value.Elem(), format)
		}
	case reflect.Struct:
		for i := range value.NumField() {
			if field := value.Type().Field(i); field.IsExported() || field.Anonymous {
				lowerIn(value.Field(i), field.Tag.Get("format"))
			}
		}
	case reflect.Slice, reflect.Array:
		if element := value.Type().Elem().Kind(); element == reflect.Uint8 || element == reflect.String && format == "" {
			return
		}
		for i := range value.Len() {
			lowerIn(value.Index(i), format)
		}
	case reflect.String:
		if (format == idFormat || format == maybeIDFormat) && value.CanSet() {
			value.SetString(lowerID(value.String()))
		}
	}
}

// lowerID is an id in lower case, and any other text as it is.
func lowerID(text string) string {
	if len(text) != len(uuid.Nil.String()) || uuid.Validate(text) != nil {
		return text
	}
	return strings.ToLower(text)
}
