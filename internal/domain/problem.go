package domain

import (
	"fmt"
	"strings"
)

// FieldError names one field of a document, what is wrong with it and what to do.
type FieldError struct {
	Field   string // path as the client wrote it, for example "connection_config.port"
	Message string
}

// Invalid is what a validation finds: one entry for each wrong field.
type Invalid []FieldError

// Error lists the fields and their messages.
func (v Invalid) Error() string {
	lines := make([]string, len(v))
	for i, f := range v {
		lines[i] = f.Field + ": " + f.Message
	}
	return strings.Join(lines, "; ")
}

// Add records one more wrong field.
func (v *Invalid) Add(field, format string, args ...any) {
	*v = append(*v, FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// Under puts prefix before every field path.
func (v Invalid) Under(prefix string) Invalid {
	out := make(Invalid, len(v))
	for i, f := range v {
		out[i] = FieldError{Field: prefix + "." + f.Field, Message: f.Message}
	}
	return out
}

// OrNil is v as an error, nil when nothing was found.
func (v Invalid) OrNil() error {
	if len(v) == 0 {
		return nil
	}
	return v
}
