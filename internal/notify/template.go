package notify

import (
	"bytes"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"strings"
	"text/template"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Template is what an event becomes on a type of channel.
type Template struct {
	Subject string // smtp and webhook
	Body    string
	HTML    string // smtp
}

const (
	maxSource = 64 << 10  // bytes of one part of a template
	maxOutput = 256 << 10 // bytes of what it makes
)

// Check finds what is wrong with a template for a type of channel and events of a type, "" for all: what can not be
// parsed, every variable and function that does not exist where it stands, in branches that are never taken too, and
// what fails on samples.
func (t Template) Check(channel domain.ChannelType, event domain.NotificationType) domain.Invalid {
	var v domain.Invalid
	if strings.TrimSpace(t.Body) == "" {
		v.Add("body", "is required")
	}
	if channel == domain.ChannelWhatsApp && t.Subject != "" {
		v.Add("subject", "has no place in a WhatsApp message; leave it out")
	}
	if channel != domain.ChannelSMTP && t.HTML != "" {
		v.Add("html", "is for mail only; leave it out")
	}
	for _, part := range t.parts() {
		if err := checkSource(part.source, event); err != nil {
			v.Add(part.name, "%s", err)
		}
	}
	if len(v) > 0 {
		return v
	}
	for _, kind := range domain.NotificationTypes() {
		if event != "" && kind != event {
			continue
		}
		for _, e := range []Event{Sample(kind, time.Unix(0, 0)), Event{Type: kind}.Complete()} {
			if _, err := t.render(e); err != nil {
				var failed partError
				name := "body"
				if errors.As(err, &failed) {
					name = failed.part
				}
				v.Add(name, "fails for an event of type %s: %s", kind, withoutName(err))
				return v
			}
		}
	}
	return v
}

type part struct{ name, source string }

func (t Template) parts() []part {
	return []part{{"subject", t.Subject}, {"body", t.Body}, {"html", t.HTML}}
}

// partError says in which part of a template something failed.
type partError struct {
	part string
	error
}

func (p partError) Unwrap() error { return p.error }

// withoutName takes the name that text/template puts in front of its errors away.
func withoutName(err error) string { return strings.TrimPrefix(err.Error(), "template: ") }

// rendered is a template filled in.
type rendered struct{ subject, text, html string }

func (t Template) render(e Event) (out rendered, err error) {
	e.Metadata = nil
	if out.subject, err = fillText(t.Subject, e); err != nil {
		return out, partError{"subject", err}
	}
	if out.text, err = fillText(t.Body, e); err != nil {
		return out, partError{"body", err}
	}
	if t.HTML == "" {
		return out, nil
	}
	if out.html, err = fillHTML(t.HTML, e); err != nil {
		return out, partError{"html", err}
	}
	return out, nil
}

func fillText(source string, e Event) (string, error) {
	parsed, err := template.New("").Option("missingkey=error").Funcs(functions).Parse(source)
	if err != nil {
		return "", err
	}
	out := &limited{}
	err = parsed.Execute(out, e)
	return strings.TrimSpace(out.String()), err
}

func fillHTML(source string, e Event) (string, error) {
	parsed, err := htmltemplate.New("").Option("missingkey=error").Funcs(functions).Parse(source)
	if err != nil {
		return "", err
	}
	out := &limited{}
	err = parsed.Execute(out, e)
	return out.String(), err
}

// errTooMuch is the end of a template that makes too much.
var errTooMuch = fmt.Errorf("it makes more than %d bytes", maxOutput)

// limited ends a template that makes too much.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxOutput {
		return 0, errTooMuch
	}
	return l.Buffer.Write(p)
}

var _ io.Writer = (*limited)(nil)
