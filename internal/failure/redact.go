package failure

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// Mask stands in for a secret wherever one would be shown.
const Mask = "********"

// shapes catches secrets by the form they appear in, for text whose secrets are not known:
// credentials in a URL, password=… pairs of connection strings, age identities. Group 1 is what
// stands before the secret, group 2 what follows it.
var shapes = []*regexp.Regexp{
	regexp.MustCompile(`(://[^/\s:@]*:)[^@\s/]+(@)`),
	regexp.MustCompile(`(?i)((?:password|passwd|pwd|secret|secret_access_key|api_?key|token|passphrase)\s*[=:]\s*)(?:"[^"]*"|'[^']*'|[^\s,;&]+)()`),
	regexp.MustCompile(`(AGE-SECRET-KEY-1)[0-9A-Z]+()`),
}

// begun catches the beginning of such a secret at the end of a text that was cut off, where what would end it is missing.
var begun = []*regexp.Regexp{
	regexp.MustCompile(`(://[^/\s:@]*:)[^@\s/]+$()`),
	regexp.MustCompile(`(?i)((?:password|passwd|pwd|secret|secret_access_key|api_?key|token|passphrase)\s*[=:]\s*)(?:"[^"]*|'[^']*)$()`),
}

// Redact replaces every given secret, and everything shaped like a credential, by Mask. Secrets
// shorter than three bytes are not searched for: they would mask ordinary text.
func Redact(text string, secrets ...string) string {
	// The longest first: one that begins with another would keep its tail.
	secrets = slices.SortedFunc(slices.Values(secrets), func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, secret := range secrets {
		if len(secret) >= 3 {
			text = strings.ReplaceAll(text, secret, Mask)
		}
	}
	return maskShapes(text, shapes)
}

func maskShapes(text string, shapes []*regexp.Regexp) string {
	for _, shape := range shapes {
		text = shape.ReplaceAllString(text, "${1}"+Mask+"${2}")
	}
	return text
}

// RedactCut is Redact for a text that was cut off, by a limit or by a connection that was lost: it may end within a secret,
// of which Redact would leave the beginning.
func RedactCut(text string, secrets ...string) string {
	longest := 0
	for _, secret := range secrets {
		for n := min(len(secret)-1, len(text)); n > longest; n-- {
			if strings.HasSuffix(text, secret[:n]) {
				longest = n
			}
		}
	}
	if longest > 0 {
		text = text[:len(text)-longest] + Mask
	}
	return Redact(maskShapes(text, begun), secrets...)
}
