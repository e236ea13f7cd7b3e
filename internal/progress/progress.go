// Package progress shows on a terminal, or in a log, how far an execution is.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Line shows how far an execution is: on a terminal a bar that is written over, elsewhere a line at every new phase and
// every tenth of the way.
type Line struct {
	out      io.Writer
	terminal bool
	verb     string
	began    time.Time
	phase    domain.Phase
	tenth    int64
	shown    bool
	bar      *progressbar.ProgressBar
	rest     func() // stops what keeps the bar moving
	total    int64  // of the bar, -1 unknown
}

// New shows on out; verb says what is being done.
func New(out io.Writer, verb string) *Line {
	file, isFile := out.(*os.File)
	return &Line{out: out, terminal: isFile && isatty.IsTerminal(file.Fd()), verb: verb, began: time.Now()}
}

// Show shows p, or leaves it where it would only repeat the last line.
func (l *Line) Show(p domain.Progress) {
	if l.terminal {
		l.draw(p)
		return
	}
	var tenth int64
	if p.Total > 0 {
		tenth = min(p.Bytes*10/p.Total, 10)
	}
	if l.shown && p.Phase == l.phase && tenth <= l.tenth {
		return
	}
	l.phase, l.tenth, l.shown = p.Phase, tenth, true
	_, _ = fmt.Fprintf(l.out, "  %-8s %-9s  %s\n", l.verb, p.Phase, strings.Join(l.details(p), ", "))
}

// draw moves the bar. Each phase has one of its own, because each counts from the start.
func (l *Line) draw(p domain.Progress) {
	if l.bar == nil || p.Phase != l.phase {
		l.End()
		l.phase, l.total = p.Phase, -1
		l.bar = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(l.out), progressbar.OptionShowBytes(true),
			progressbar.OptionSetDescription(fmt.Sprintf("%s %s", l.verb, p.Phase)), progressbar.OptionClearOnFinish(),
			progressbar.OptionUseANSICodes(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionFullWidth(),
			progressbar.OptionSetSpinnerChangeInterval(0)) // its own goroutine never ends: it would draw over what comes after the bar
		l.rest = spin(l.bar)
	}
	total := int64(-1)
	if p.Total > 0 {
		total = max(p.Total, p.Bytes+1) // the estimate may be low; a full bar would end it
	}
	if total != l.total {
		l.total = total
		l.bar.ChangeMax64(total)
	}
	_ = l.bar.Set64(p.Bytes) // fails only for more than the total
}

// spin draws a bar again and again, also while nothing is told of how far it is. stop returns when it has ended.
func spin(bar *progressbar.ProgressBar) (stop func()) {
	_ = bar.RenderBlank() // fails only with the terminal
	ended := make(chan struct{})
	var drawing sync.WaitGroup
	drawing.Go(func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				_ = bar.RenderBlank()
			}
		}
	})
	return func() { close(ended); drawing.Wait() }
}

// details are the figures that are known.
func (l *Line) details(p domain.Progress) []string {
	elapsed := fmt.Sprintf("%.1f s", time.Since(l.began).Seconds())
	if p.Bytes == 0 {
		return []string{elapsed}
	}
	moved := Megabytes(p.Bytes)
	if p.Total > 0 {
		moved += " of about " + Megabytes(p.Total)
	}
	parts := []string{moved}
	if p.Rate > 0 {
		parts = append(parts, Megabytes(int64(p.Rate))+"/s")
	}
	if p.Chunks > 0 {
		parts = append(parts, fmt.Sprintf("%d chunks", p.Chunks))
	}
	return append(parts, elapsed)
}

// End leaves a clean line for what is written next.
func (l *Line) End() {
	if l.bar != nil {
		l.rest()
		_ = l.bar.Clear()
		_ = l.bar.Exit()
		l.bar = nil
	}
}

// Megabytes writes bytes in units of 10^6.
func Megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
