package notify

import (
	"cmp"
	"errors"
	"sort"
	"strings"
	"unicode"

	"github.com/dataguardian/dataguardian/internal/domain"
)

const maxSubject = 200 // characters

// Render makes the message of an event, or of a digest of several, the oldest first. The template of a single
// event is t, or the built-in one for nil; a digest always has the built-in text. A text that is too long for
// the channel loses the end of the event's own message first: what happened, where and what to do stay.
func Render(channel domain.ChannelType, t *Template, events []Event) (Message, error) {
	event, digest := events[0].bounded().Complete(), []Event(nil)
	if len(events) > 1 {
		event, digest, t = Digest(events), worstFirst(events), nil
	}
	template := Builtin(channel, event.Type)
	if t != nil {
		template = *t
	}
	out, err := template.fit(event, Limit(channel), asItIs)
	if err != nil {
		return Message{}, err
	}
	subject := oneLine(out.subject)
	if subject == "" {
		subject = cmp.Or(oneLine(event.Title), string(event.Type))
	}
	return Message{Subject: truncate(maxSubject, subject), Text: out.text, HTML: out.html, Event: event, Digest: digest, template: &template}, nil
}

func asItIs(text string) string { return text }

// Within is the text as a channel writes it, in at most so many characters: as makes what is sent of a text, as by
// escaping it. What is too long loses the end of the event's own message first.
func (m Message) Within(most int, as func(string) string) string {
	if m.template != nil {
		if out, err := m.template.fit(m.Event, most, as); err == nil {
			return as(out.text)
		}
	}
	return Shorten(m.Text, most, as)
}

// fit fills the template in so that its text, as as writes it, has at most so many characters.
func (t Template) fit(e Event, most int, as func(string) string) (out rendered, err error) {
	message := []rune(e.Message)
	fits := func(n int) bool {
		e.Message = beginning(message, n)
		out, err = t.render(e)
		return err == nil && Characters(as(out.text)) <= most
	}
	if fits(len(message)) || (err != nil && !errors.Is(err, errTooMuch)) {
		return out, err
	}
	n := sort.Search(len(message), func(n int) bool { return !fits(n) }) - 1
	if !fits(max(n, 0)) && err == nil {
		out.text = shorten(out.text, most, as)
	}
	return out, err
}

// Shorten is as much of a text as has at most so many characters when as has written it.
func Shorten(text string, most int, as func(string) string) string {
	return as(shorten(text, most, as))
}

func shorten(text string, most int, as func(string) string) string {
	runes := []rune(text)
	fits := func(n int) bool { return Characters(as(beginning(runes, n))) <= most }
	if fits(len(runes)) {
		return text
	}
	return beginning(runes, sort.Search(len(runes), func(n int) bool { return !fits(n) })-1)
}

// beginning are the first n runes of a text, the last one an ellipsis if any are missing.
func beginning(text []rune, n int) string {
	switch {
	case n >= len(text):
		return string(text)
	case n <= 0:
		return ""
	}
	return string(text[:n-1]) + "…"
}

// Characters counts as the messengers do: in UTF-16 units.
func Characters(text string) int {
	n := 0
	for _, r := range text {
		n += units(r)
	}
	return n
}

func units(r rune) int {
	if r >= 0x10000 {
		return 2
	}
	return 1
}

// cut leaves at most so many characters of a text, the last one an ellipsis if any are missing.
func cut(text string, most int) string {
	if Characters(text) <= most {
		return text
	}
	if most <= 0 {
		return ""
	}
	n := 0
	for i, r := range text {
		if n += units(r); n > most-1 {
			return text[:i] + "…"
		}
	}
	return text
}

// Cut leaves at most so many characters of a text.
func Cut(text string, most int) string { return cut(text, most) }

// oneLine makes what a header or a title takes of a text.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}
