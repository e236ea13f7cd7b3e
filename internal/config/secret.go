package config

import (
	"log/slog"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// Secret is a text that is never printed: every way of formatting it gives the mask.
type Secret string

// Reveal gives the text, to hand it to what needs it.
func (s Secret) Reveal() string { return string(s) }

// String masks a secret that is set.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return failure.Mask
}

// GoString masks %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue masks log attributes.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText masks JSON and everything else that encodes text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
