package files

import (
	"fmt"
	"strconv"
	"sync"
)

// maxWarnings is how many are listed; the rest is counted.
const maxWarnings = 100

// warnings collects what people should know of a dump or a restore, from several goroutines.
type warnings struct {
	mu    sync.Mutex
	list  []string
	count int
}

// add notes something about a path, which may hold any bytes.
func (w *warnings) add(path, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count++; w.count <= maxWarnings {
		w.list = append(w.list, printable(path)+": "+fmt.Sprintf(format, args...))
	}
}

// all are the warnings, the last one for those that are not listed.
func (w *warnings) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count <= maxWarnings {
		return w.list
	}
	return append(w.list[:maxWarnings:maxWarnings], fmt.Sprintf("and %d more of such warnings", w.count-maxWarnings))
}

// printable is a path as people can read it, quoted if it has what can not be shown.
func printable(path string) string {
	if quoted := strconv.Quote(path); len(quoted) != len(path)+2 {
		return quoted
	}
	return path
}
