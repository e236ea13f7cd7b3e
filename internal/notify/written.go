package notify

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// written are secrets in the forms in which a server may repeat them: as they are, and as text in JSON, in an address, in
// HTML and in base64, as the libraries of its language write it.
func written(secrets []string) []string {
	var all []string
	for _, secret := range secrets {
		secret = oneLine(secret)
		all = append(all, secret)
		for _, form := range []func(string) []string{inAddress, inHTML, inJSON, inBase64} {
			all = append(all, form(secret)...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var hexOfAddress = regexp.MustCompile(`%[0-9A-F]{2}`)

func inAddress(secret string) (all []string) {
	query := url.QueryEscape(secret)
	for _, text := range []string{query, strings.ReplaceAll(query, "+", "%20"), url.PathEscape(secret)} {
		all = append(all, text, hexOfAddress.ReplaceAllStringFunc(text, strings.ToLower))
	}
	return all
}

func inHTML(secret string) (all []string) {
	escaped := html.EscapeString(secret)
	for _, quote := range []string{"&#34;", "&quot;", "&#x22;", `"`} {
		for _, apostrophe := range []string{"&#39;", "&apos;", "&#x27;", "&#039;", "'"} {
			all = append(all, strings.NewReplacer("&#34;", quote, "&#39;", apostrophe).Replace(escaped))
		}
	}
	return all
}

func inBase64(secret string) (all []string) {
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		all = append(all, encoding.EncodeToString([]byte(secret)), encoding.WithPadding(base64.NoPadding).EncodeToString([]byte(secret)))
	}
	return all
}

// What JSON need not escape: `\\` stays, so that what follows is not taken for an escape.
var (
	asGo     = strings.NewReplacer(`\\`, `\\`, "<", `\u003c`, ">", `\u003e`, "&", `\u0026`)
	asPHP    = strings.NewReplacer(`\\`, `\\`, "<", `\u003c`, ">", `\u003e`, "&", `\u0026`, `\"`, `\u0022`, "'", `\u0027`) // with JSON_HEX_…
	asNET    = strings.NewReplacer("+", `\u002b`, "`", `\u0060`)
	hexQuote = strings.NewReplacer(`\\`, `\\`, `\"`, `\u0022`)
)

func inJSON(secret string) (all []string) {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(secret) != nil {
		return nil
	}
	text := strings.TrimSuffix(out.String(), "\n")
	text = text[1 : len(text)-1]
	for _, text := range []string{text, hexQuote.Replace(text), asGo.Replace(text), asPHP.Replace(text), asNET.Replace(asPHP.Replace(text))} {
		for _, text := range []string{text, inASCII(text), upper(text), inASCII(upper(text)), upper(inASCII(text))} {
			all = append(all, text, strings.ReplaceAll(text, "/", `\/`))
		}
	}
	return all
}

// inASCII is a text of JSON in which every character beyond ASCII is escaped, as Python and PHP write it.
func inASCII(text string) string {
	var out strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		if unit < utf8.RuneSelf {
			out.WriteByte(byte(unit))
		} else {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.String()
}

var escapeOfJSON = regexp.MustCompile(`\\\\|\\u[0-9a-f]{4}`)

// upper is a text of JSON whose escapes have digits in upper case.
func upper(text string) string {
	return escapeOfJSON.ReplaceAllStringFunc(text, func(escape string) string {
		return escape[:2] + strings.ToUpper(escape[2:])
	})
}
