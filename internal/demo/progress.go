package demo

import (
	"fmt"
	"io"
	"os"
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

	text := fmt.Sprintf("  %-8s %-9s", l.verb, p.Phase)
	if p.Bytes > 0 {
		text += fmt.Sprintf(" %9s", megabytes(p.Bytes))
	}
	if p.Bytes > 0 && p.Total > 0 {
		text += fmt.Sprintf(" of about %s", megabytes(p.Total))
	}
	if p.Rate > 0 {
		text += fmt.Sprintf(", %s/s", megabytes(int64(p.Rate)))
	}
	if p.Chunks > 0 {
		text += fmt.Sprintf(", %d chunks", p.Chunks)
	}
	text += fmt.Sprintf(", %.1f s", time.Since(l.began).Seconds())
	if l.terminal {
		_, _ = fmt.Fprintf(l.out, "\r%s\x1b[K", text)
		return
	}
	_, _ = fmt.Fprintln(l.out, text)
}

// end leaves a clean line for what is written next.
func (l *progressLine) end() {
	if l.terminal && l.shown {
		_, _ = fmt.Fprint(l.out, "\r\x1b[K")
	}
}

// megabytes writes bytes in units of 10^6.
func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
