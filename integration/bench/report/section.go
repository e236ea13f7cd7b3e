// Package report renders what was measured as Markdown, and says of each limit whether it holds.
package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
)

// Section is one case of the suite.
type Section struct {
	Title    string
	About    string // the data and what is done with it
	Commands []string
	Series   []*measure.Series
	Bases    []*measure.Series // the contestants that the wall times are compared with, a column each
	Notes    []string
	Limits   []Limit
	Failed   string // why the case did not come to its end
}

func (s Section) write(w io.Writer) {
	fmt.Fprintf(w, "\n## %s\n\n%s\n", s.Title, s.About)
	for i, command := range s.Commands {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "    %s\n", command)
	}
	if s.Failed != "" {
		fmt.Fprintf(w, "\n**This case failed:** %s\n", firstLine(s.Failed))
	}
	s.writeTable(w)
	for _, note := range s.Notes {
		fmt.Fprintf(w, "\n%s\n", note)
	}
	if len(s.Limits) > 0 {
		fmt.Fprint(w, "\nLimits of DataGuardian:\n\n")
	}
	for _, limit := range s.Limits {
		fmt.Fprintf(w, "- %s\n", limit)
	}
}

func (s Section) writeTable(w io.Writer) {
	if len(s.Series) == 0 { // its notes say what was measured
		return
	}
	head := []string{"", "wall"}
	for _, base := range s.Bases {
		head = append(head, "of "+base.Name)
	}
	head = append(head, "user + sys", "peak RSS", "stored", "before compression", "single rounds (wall)")
	fmt.Fprintf(w, "\n| %s |\n|---|%s\n", strings.Join(head, " | "), strings.Repeat("---:|", len(head)-1))
	for _, series := range s.Series {
		fmt.Fprintf(w, "| %s |\n", strings.Join(s.row(series), " | "))
	}
}

func (s Section) row(series *measure.Series) []string {
	if !series.Measured() {
		why := series.Missing
		if why == "" {
			why = "did not run"
		}
		return []string{series.Name, firstLine(why)}
	}
	m := series.Median()
	cells := []string{series.Name, seconds(m.Wall)}
	for _, base := range s.Bases {
		if base.Measured() {
			cells = append(cells, fmt.Sprintf("%.2f ×", ratio(m.Wall, base.Median().Wall)))
		} else {
			cells = append(cells, "–")
		}
	}
	var rounds []string
	for _, run := range series.Runs {
		rounds = append(rounds, fmt.Sprintf("%.2f", run.Wall.Seconds()))
	}
	return append(cells, seconds(m.CPU), mib(m.PeakRSS), orDash(m.Stored), orDash(m.Added), strings.Join(rounds, ", "))
}

func orDash(bytes int64) string {
	if bytes <= 0 {
		return "–"
	}
	return mib(bytes)
}
