package notify

import (
	"bytes"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
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

// functions are all that a template can call besides the comparisons and logic of text/template.
var functions = template.FuncMap{
	"upper":    strings.ToUpper,
	"lower":    strings.ToLower,
	"trim":     strings.TrimSpace,
	"truncate": truncate,
	"default":  func(fallback, value string) string { return orDefault(value, fallback) },
	"bytes":    formatBytes,
	"duration": formatDuration,
	"date":     func(layout string, t time.Time) string { return t.UTC().Format(layout) },
}

// callable are the functions that a template may name.
var callable = []string{
	"upper", "lower", "trim", "truncate", "default", "bytes", "duration", "date",
	"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len",
}

// Functions lists what templates may call, and Variables what they may show, for documents.
func Functions() []string { return slices.Clone(callable) }

// Variables lists the fields of an event that templates may show.
func Variables() []string {
	var names []string
	for i := range reflect.TypeFor[Event]().NumField() {
		if name := reflect.TypeFor[Event]().Field(i).Name; name != "Metadata" {
			names = append(names, name)
		}
	}
	return names
}

func truncate(most int, text string) string {
	runes := []rune(text)
	if most < 1 || len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

func orDefault(value, fallback string) string {
	if strings.TrimSpace(value) == "" {
		return fallback
	}
	return value
}

// Check finds what is wrong with a template for a type of channel: what can not be parsed, every variable and
// function that does not exist, in branches that are seldom taken too, and what fails on samples.
func (t Template) Check(channel domain.ChannelType) domain.Invalid {
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
		if err := checkSource(part.source); err != nil {
			v.Add(part.name, "%s", err)
		}
	}
	if len(v) > 0 {
		return v
	}
	for _, kind := range domain.NotificationTypes() {
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

func checkSource(source string) error {
	if len(source) > maxSource {
		return fmt.Errorf("is %d bytes long; give at most %d", len(source), maxSource)
	}
	parsed, err := template.New("").Funcs(functions).Parse(source)
	if err != nil {
		return errors.New("can not be read: " + withoutName(err))
	}
	if len(parsed.Templates()) > 1 || (parsed.Tree != nil && len(parsed.DefinedTemplates()) > 0 && strings.Contains(source, "define")) {
		return errors.New("defines templates in it, which is not offered")
	}
	if parsed.Tree == nil {
		return nil
	}
	return checkNodes(parsed.Root)
}

// checkNodes goes through everything that a template holds.
func checkNodes(node parse.Node) error {
	if node == nil || reflect.ValueOf(node).IsNil() {
		return nil
	}
	switch n := node.(type) {
	case *parse.ListNode:
		return checkAll(n.Nodes)
	case *parse.ActionNode:
		return checkNodes(n.Pipe)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			if err := checkAll(c.Args); err != nil {
				return err
			}
		}
	case *parse.IfNode:
		return checkBranch(&n.BranchNode)
	case *parse.WithNode:
		return checkBranch(&n.BranchNode)
	case *parse.RangeNode:
		return checkRange(n)
	case *parse.TemplateNode:
		return errors.New("calls a template, which is not offered")
	case *parse.FieldNode:
		return checkFields(n.Ident)
	case *parse.VariableNode:
		return checkFields(n.Ident[1:])
	case *parse.ChainNode:
		if err := checkFields(n.Field); err != nil {
			return err
		}
		return checkNodes(n.Node)
	case *parse.IdentifierNode:
		if !slices.Contains(callable, n.Ident) {
			return fmt.Errorf("calls %s, which does not exist; there are %s", n.Ident, strings.Join(callable, ", "))
		}
	}
	return nil
}

// checkRange lets only the one list be gone through, and once.
func checkRange(n *parse.RangeNode) error {
	if pipe := n.Pipe.String(); strings.TrimPrefix(pipe[strings.LastIndex(pipe, "=")+1:], " ") != ".Facts" && !strings.HasSuffix(pipe, "$.Facts") {
		return fmt.Errorf("ranges over %s; only .Facts is a list", pipe)
	}
	if strings.Contains(n.List.String(), "{{range ") { // a few of them inside each other run for ever
		return errors.New("has a range inside another")
	}
	return checkBranch(&n.BranchNode)
}

func checkAll(nodes []parse.Node) error {
	for _, n := range nodes {
		if err := checkNodes(n); err != nil {
			return err
		}
	}
	return nil
}

func checkBranch(b *parse.BranchNode) error {
	for _, n := range []parse.Node{b.Pipe, b.List, b.ElseList} {
		if err := checkNodes(n); err != nil {
			return err
		}
	}
	return nil
}

// checkFields knows the variables, and the two fields of a fact.
func checkFields(path []string) error {
	for i, name := range path {
		known := i == 0 && (slices.Contains(Variables(), name) || name == "Name" || name == "Value")
		if !known {
			return fmt.Errorf("shows .%s, which does not exist; there are .%s", strings.Join(path, "."), strings.Join(Variables(), ", ."))
		}
	}
	return nil
}

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

// limited ends a template that makes too much.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxOutput {
		return 0, fmt.Errorf("it makes more than %d bytes", maxOutput)
	}
	return l.Buffer.Write(p)
}

var _ io.Writer = (*limited)(nil)
