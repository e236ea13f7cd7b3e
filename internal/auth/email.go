package auth

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dataguardian/dataguardian/internal/domain"
)

const (
	maxEmail       = 254 // bytes, as RFC 5321 has it
	maxDisplayName = 200 // bytes
)

// CheckEmail finds what an account's email can not be. An address is a name to sign in with and is not
// taken apart further: whether it is delivered to is the mail server's to say.
func CheckEmail(field, email string) domain.Invalid {
	var v domain.Invalid
	local, host, found := strings.Cut(email, "@")
	switch {
	case !utf8.ValidString(email) || strings.ContainsFunc(email, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		v.Add(field, "has a space or a control character")
	case !found || local == "" || host == "" || strings.Contains(host, "@"):
		v.Add(field, "is no email address; give one such as name@example.com")
	case len(email) > maxEmail:
		v.Add(field, "is too long; give at most %d bytes", maxEmail)
	}
	return v
}

// CheckDisplayName finds what the name of an account can not be; it may be empty.
func CheckDisplayName(field, name string) domain.Invalid {
	var v domain.Invalid
	if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || len(name) > maxDisplayName {
		v.Add(field, "must be text of at most %d bytes without control characters", maxDisplayName)
	}
	return v
}
