package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
	formatID    = "id"
)

var formats = []string{formatTable, formatJSON, formatYAML, formatID}

// printer writes answers in the form that was asked for.
type printer struct {
	out    io.Writer
	format string
}

func newPrinter(cmd *cobra.Command, format string) (printer, error) {
	if !slices.Contains(formats, format) {
		return printer{}, BadUsage(cmd, "--output is %q; give %s", format, strings.Join(formats, ", "))
	}
	return printer{out: cmd.OutOrStdout(), format: format}, nil
}

// table reports whether people are to read the output.
func (p printer) table() bool { return p.format == formatTable }

// one prints a single thing.
func (p printer) one(answer json.RawMessage) error {
	if len(answer) == 0 {
		return nil
	}
	switch p.format {
	case formatJSON, formatYAML:
		return p.encoded(answer)
	case formatID:
		value, err := decode(answer)
		if err != nil {
			return err
		}
		return p.line(idOf(value))
	}
	value, err := decode(answer)
	if err != nil {
		return err
	}
	return p.tabbed(func(w io.Writer) {
		for _, row := range flatten("", value) {
			_, _ = fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
		}
	})
}

// many prints a list. cell gives what a column shows of a row.
func (p printer) many(items []json.RawMessage, columns []column, cell func(column, any) string) error {
	if p.format == formatJSON || p.format == formatYAML {
		if items == nil {
			items = []json.RawMessage{}
		}
		text, err := json.Marshal(items)
		if err != nil {
			return fmt.Errorf("encode the list: %w", err)
		}
		return p.encoded(text)
	}
	rows := make([]any, len(items))
	for i, item := range items {
		var err error
		if rows[i], err = decode(item); err != nil {
			return err
		}
	}
	if p.format == formatID {
		for _, row := range rows {
			if err := p.line(idOf(row)); err != nil {
				return err
			}
		}
		return nil
	}
	return p.tabbed(func(w io.Writer) {
		headers := make([]string, len(columns))
		for i, c := range columns {
			headers[i] = c.header
		}
		_, _ = fmt.Fprintln(w, strings.Join(headers, "\t"))
		for _, row := range rows {
			cells := make([]string, len(columns))
			for i, c := range columns {
				cells[i] = cell(c, row)
			}
			_, _ = fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
	})
}

func (p printer) line(text string) error {
	_, err := fmt.Fprintln(p.out, clean(text))
	return err
}

// tabbed writes lines whose columns are set out.
func (p printer) tabbed(write func(io.Writer)) error {
	w := tabwriter.NewWriter(p.out, 0, 8, 2, ' ', 0)
	write(w)
	return w.Flush()
}

func (p printer) encoded(answer json.RawMessage) error {
	var text bytes.Buffer
	if err := json.Indent(&text, answer, "", "  "); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	text.WriteByte('\n')
	out := text.Bytes()
	if p.format == formatYAML {
		var err error
		if out, err = yaml.JSONToYAML(answer); err != nil {
			return fmt.Errorf("write the answer as YAML: %w", err)
		}
	}
	_, err := p.out.Write(out)
	return err
}

// decode keeps numbers as they were written.
func decode(answer json.RawMessage) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(answer))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("the answer is not JSON: %w", err)
	}
	return value, nil
}

// at reads the member of a document at a dotted path; nil when there is none.
func at(value any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[name]
	}
	return value
}

// idOf is what names a thing in the next call.
func idOf(value any) string {
	for _, name := range []string{"id", "execution_id", "key"} {
		if id, ok := at(value, name).(string); ok {
			return id
		}
	}
	return ""
}

// flatten writes a document as rows of path and value. Each thing of a list has a row of its own.
func flatten(path string, value any) [][2]string {
	if list, ok := value.([]any); ok && slices.ContainsFunc(list, isObject) {
		var rows [][2]string
		for i, item := range list {
			rows = append(rows, [2]string{fmt.Sprintf("%s[%d]", path, i), inOneLine(item)})
		}
		return rows
	}
	object, ok := value.(map[string]any)
	if !ok || len(object) == 0 {
		return [][2]string{{path, text(value)}}
	}
	var rows [][2]string
	for _, name := range inOrder(object) {
		under := clean(name)
		if path != "" {
			under = path + "." + under
		}
		rows = append(rows, flatten(under, object[name])...)
	}
	return rows
}

func isObject(value any) bool {
	_, ok := value.(map[string]any)
	return ok
}

// inOneLine writes a thing of a list: its members that are set.
func inOneLine(value any) string {
	var parts []string
	for _, row := range flatten("", value) {
		if row[1] != "-" {
			parts = append(parts, strings.TrimSpace(row[0]+" "+row[1]))
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// inOrder sorts the members, those that name the thing first.
func inOrder(object map[string]any) []string {
	first := []string{"id", "name", "type", "status"}
	var names []string
	for name := range object {
		if !slices.Contains(first, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var head []string
	for _, name := range first {
		if _, has := object[name]; has {
			head = append(head, name)
		}
	}
	return append(head, names...)
}

// text writes a value in a cell.
func text(value any) string {
	switch v := value.(type) {
	case nil:
		return "-"
	case string:
		if v == "" {
			return "-"
		}
		if when, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return when.Local().Format("2006-01-02 15:04:05")
		}
		return clean(v)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case json.Number:
		return v.String()
	case []any:
		return textOfList(v)
	default:
		encoded, err := json.Marshal(v)
		if err != nil || string(encoded) == "{}" {
			return "-"
		}
		return clean(string(encoded))
	}
}

func textOfList(list []any) string {
	if len(list) == 0 {
		return "-"
	}
	parts := make([]string, len(list))
	for i, item := range list {
		parts[i] = text(item)
	}
	return strings.Join(parts, ", ")
}

// clean takes from a text what a terminal would obey or what would break the table.
func clean(value string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, value)
}
