package domain

import (
	"iter"
	"reflect"
	"strings"
)

// jsonFields goes through the fields of a document, which is a struct, by their JSON names.
func jsonFields(document any) iter.Seq2[string, reflect.Value] {
	value := reflect.ValueOf(document)
	return func(yield func(string, reflect.Value) bool) {
		for i := range value.NumField() {
			name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
			if !yield(name, value.Field(i)) {
				return
			}
		}
	}
}
