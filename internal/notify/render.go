package notify

import (
	"strings"
	"unicode"

	"github.com/dataguardian/dataguardian/internal/domain"
)

const maxSubject = 200 // characters

// Render makes the message of an event, or of a digest of several, the oldest first. The template of a single
// event is t, or the built-in one for nil; a digest always has the built-in text. A text that is too long for
// the channel loses the end of the event's own message first: what happened, where and what to do stay.
func Render(channel domain.ChannelType, t *Template, events []Event) (Message, error) {
	event, digest := events[0].Complete(), []Event(nil)
	if len(events) > 1 {
		event, digest, t = Digest(events), events, nil
	}
	template := Builtin(channel, event.Type)
	if t != nil {
		template = *t
	}
	out, err := template.fit(event, Limit(channel))
	if err != nil {
		return Message{}, err
	}
	subject := oneLine(out.subject)
	if subject == "" {
		subject = oneLine(event.Title)
	}
	return Message{Subject: truncate(maxSubject, subject), Text: out.text, HTML: out.html, Event: event, Digest: digest}, nil
}

// fit fills the template in so that its text has at most so many characters.
func (t Template) fit(e Event, most int) (rendered, error) {
	out, err := t.render(e)
	over := Characters(out.text) - most
	if err != nil || over <= 0 {
		return out, err
	}
	keep := max(Characters(e.Message)-over-1, 0)
	e.Message = cut(e.Message, keep)
	if out, err = t.render(e); err != nil {
		return out, err
	}
	out.text = cut(out.text, most)
	return out, nil
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
