package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// rows prints the answer of a query: for people as a table.
func (s *session) rows(answer json.RawMessage) error {
	if !s.printer.table() {
		return s.printer.one(answer)
	}
	value, err := decode(answer)
	if err != nil {
		return err
	}
	columns, _ := at(value, "columns").([]any)
	rows, _ := at(value, "rows").([]any)
	err = s.printer.tabbed(func(w io.Writer) {
		headers := make([]any, len(columns))
		for i, c := range columns {
			headers[i] = at(c, "name")
		}
		_, _ = fmt.Fprintln(w, rowOf(headers))
		for _, row := range rows {
			cells, _ := row.([]any)
			_, _ = fmt.Fprintln(w, rowOf(cells))
		}
	})
	if truncated, _ := at(value, "truncated").(bool); truncated && err == nil {
		s.cmd.PrintErrln("There are more rows than are answered.")
	}
	return err
}

func rowOf(cells []any) string {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = text(cell)
	}
	return strings.Join(texts, "\t")
}
