package demo

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/dataguardian/dataguardian/internal/demo/dbcompare"
)

// shownHashDigits is how much of a hash the table shows; all of it is compared.
const shownHashDigits = 16

// writeComparison writes one line a table, and one a kind of everything else.
func writeComparison(out io.Writer, c dbcompare.Comparison) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "  table\trows source\trows restored\thash source\thash restored\tequal")
	for _, t := range c.Tables {
		_, _ = fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\n", t.Name, rows(t.A), rows(t.B), hash(t.A), hash(t.B), yes(t.Equal()))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out)

	kinds, equal, total := c.Kinds()
	for _, kind := range kinds {
		_, _ = fmt.Fprintf(w, "  %s\t%d of %d equal\n", kind, equal[kind], total[kind])
	}
	return w.Flush()
}

func rows(c *dbcompare.Content) string {
	if c == nil {
		return "missing"
	}
	return strconv.FormatInt(c.Rows, 10)
}

func hash(c *dbcompare.Content) string {
	if c == nil {
		return "-"
	}
	return c.Hash[:shownHashDigits]
}

func yes(equal bool) string {
	if equal {
		return "yes"
	}
	return "NO"
}
