package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// progressLine shows how far an execution is: on a terminal one line that is written over, elsewhere
// a line at every new phase and every tenth of the way.
type progressLine struct {
	out      io.Writer
	terminal bool
	verb     string
	began    time.Time
	phase    domain.Phase
	tenth    int64
	shown    bool
}

func newProgressLine(out io.Writer, verb string) *progressLine {
	file, isFile := out.(*os.File)
	return &progressLine{out: out, terminal: isFile && isatty.IsTerminal(file.Fd()), verb: verb, began: time.Now()}
}

// show shows p, or leaves it where it would only repeat the last line.
func (l *progressLine) show(p domain.Progress) {
	var tenth int64
	if p.Total > 0 {
		tenth = min(p.Bytes*10/p.Total, 10)
	}
	if !l.terminal && l.shown && p.Phase == l.phase && tenth <= l.tenth {
		return
	}
	l.phase, l.tenth, l.shown = p.Phase, tenth, true

	text := fmt.Sprintf("  %-8s %-9s  %s", l.verb, p.Phase, strings.Join(l.details(p), ", "))
	if l.terminal {
		_, _ = fmt.Fprintf(l.out, "\r%s\x1b[K", text)
		return
	}
	_, _ = fmt.Fprintln(l.out, text)
}

// details are the figures that are known.
func (l *progressLine) details(p domain.Progress) []string {
	elapsed := fmt.Sprintf("%.1f s", time.Since(l.began).Seconds())
	if p.Bytes == 0 {
		return []string{elapsed}
	}
	moved := megabytes(p.Bytes)
	if p.Total > 0 {
		moved += " of about " + megabytes(p.Total)
	}
	parts := []string{moved}
	if p.Rate > 0 {
		parts = append(parts, megabytes(int64(p.Rate))+"/s")
	}
	if p.Chunks > 0 {
		parts = append(parts, fmt.Sprintf("%d chunks", p.Chunks))
	}
	return append(parts, elapsed)
}

// end leaves a clean line for what is written next.
func (l *progressLine) end() {
	if l.terminal && l.shown {
		_, _ = fmt.Fprint(l.out, "\r\x1b[K")
	}
}

// megabytes writes bytes in units of 10^6.
func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
