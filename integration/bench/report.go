package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/template"
	"time"
)

// contestant is one way to back up, with all its measured runs.
type contestant struct {
	Name string
	runs []measurement
}

// median gives each figure's own median; the peak is the highest, because a limit is a limit.
func (c contestant) median() measurement {
	return measurement{
		Wall:    middle(c.runs, func(m measurement) time.Duration { return m.Wall }),
		Running: middle(c.runs, func(m measurement) time.Duration { return m.Running }),
		CPU:     middle(c.runs, func(m measurement) time.Duration { return m.CPU }),
		Stored:  middle(c.runs, func(m measurement) int64 { return m.Stored }),
		PeakRSS: slices.MaxFunc(c.runs, func(a, b measurement) int { return cmp.Compare(a.PeakRSS, b.PeakRSS) }).PeakRSS,
	}
}

func middle[T cmp.Ordered](runs []measurement, figure func(measurement) T) T {
	values := make([]T, len(runs))
	for i, run := range runs {
		values[i] = figure(run)
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// The limits of the first benchmark.
const (
	maxWallRatio = 1.0       // of the shell pipeline
	maxRSS       = 300 << 20 // bytes, the worker alone
)

// result is everything a report tells.
type result struct {
	Command     string
	Scale       int
	Repetitions int
	Database    int64 // bytes on the server
	Versions    []string
	Machine     string
	Load        string // average load over the minute before the program began
	Dump, Shell contestant
	Platform    contestant
}

// wallRatio compares DataGuardian's wall time, as its client sees it, with the shell pipeline's.
func (r result) wallRatio() float64 {
	return ratio(r.Platform.median().Wall, r.Shell.median().Wall)
}

// limits tells of each limit what was measured and whether it holds.
func (r result) limits() []string {
	peak := r.Platform.median().PeakRSS
	return []string{
		fmt.Sprintf("wall ≤ %.2f × the shell pipeline: %.2f ×, %s", maxWallRatio, r.wallRatio(), holds(r.wallRatio() <= maxWallRatio)),
		fmt.Sprintf("peak RSS of the worker ≤ %s: %s, %s", mib(maxRSS), mib(peak), holds(peak <= maxRSS)),
	}
}

func holds(yes bool) string {
	if yes {
		return "holds"
	}
	return "**does not hold**"
}

// broken lists the limits that do not hold.
func (r result) broken() []string {
	var lines []string
	if got := r.wallRatio(); got > maxWallRatio {
		lines = append(lines, fmt.Sprintf("wall time is %.2f × the shell pipeline's, and may be %.2f", got, maxWallRatio))
	}
	if peak := r.Platform.median().PeakRSS; peak > maxRSS {
		lines = append(lines, fmt.Sprintf("the worker's peak RSS is %s, and may be %s", mib(peak), mib(maxRSS)))
	}
	return lines
}

const page = `# Benchmarks

Written by ` + "`make bench`" + `; do not edit. Numbers of different machines do not compare: look at the ratios,
which come from one run.

## Backup of a pgbench database to local disk

    {{.Command}}

A pgbench database of scale {{.Scale}} ({{mib .Database}} on the server), on {{.Machine}}; the machine's
load average before the run was {{.Load}}, and anything well above 0 makes the figures coarse.
{{range .Versions}}{{.}}; {{end}}the page cache is warm, because the first round is not counted;
{{.Repetitions}} rounds, in each of them all three one after the other; medians, and the highest peak RSS.

| | wall | of pg_dump alone | of the shell pipeline | user + sys CPU | peak RSS | stored |
|---|---:|---:|---:|---:|---:|---:|
{{range .Rows}}| {{.}} |
{{end}}
Single rounds (wall): {{.Rounds}}.

- *pg_dump alone* is ` + "`pg_dump -Fc -Z0 > /dev/null`" + `: what the server and pg_dump need, nothing is kept.
- *The shell pipeline* is ` + "`pg_dump -Fc -Z0 | zstd -3 -T2 | age -r … > file`" + ` and an fsync of the file.
- *DataGuardian* is one backup job run over the REST API: zstd, encryption and the quick verification on
  (the defaults), chunked, with the manifest, through Temporal, durable on the disk. Its wall time is
  what the client sees, from the request to the answer that says completed; from started_at to
  finished_at the execution took {{seconds .Platform.Running}}.
- CPU is that of the programs on the client's side and of the worker with its pg_dump; the database
  server's, and for DataGuardian the API's and Temporal's, is not in it. Peak RSS is the sum of the
  peaks of the pipeline's programs, and for DataGuardian the worker's own (VmHWM) since its start.

Limits:

{{range .Limits}}- {{.}}
{{end}}`

// write writes the report as Markdown.
func (r result) write(w io.Writer) error {
	dump, shell := r.Dump.median(), r.Shell.median()
	var rows, rounds []string
	for _, c := range []contestant{r.Dump, r.Shell, r.Platform} {
		m := c.median()
		stored := "–"
		if m.Stored > 0 {
			stored = mib(m.Stored)
		}
		rows = append(rows, strings.Join([]string{c.Name, seconds(m.Wall), times(m.Wall, dump.Wall), times(m.Wall, shell.Wall),
			seconds(m.CPU), mib(m.PeakRSS), stored}, " | "))
		var walls []string
		for _, run := range c.runs {
			walls = append(walls, seconds(run.Wall))
		}
		rounds = append(rounds, c.Name+" "+strings.Join(walls, ", "))
	}
	functions := template.FuncMap{"mib": mib, "seconds": seconds}
	return template.Must(template.New("page").Funcs(functions).Parse(page)).Execute(w, struct {
		result
		Rows     []string
		Rounds   string
		Platform measurement
		Limits   []string
	}{r, rows, strings.Join(rounds, "; "), r.Platform.median(), r.limits()})
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

func times(a, b time.Duration) string { return fmt.Sprintf("%.2f ×", ratio(a, b)) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func mib(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }

// machine describes the hardware in words that name no host.
func machine() string {
	model := "unknown processor"
	if value, ok := procField("/proc/cpuinfo", "model name"); ok {
		model = value
	}
	memory := "unknown memory"
	if value, ok := procField("/proc/meminfo", "MemTotal"); ok {
		var kib int64
		if _, err := fmt.Sscanf(value, "%d kB", &kib); err == nil {
			memory = fmt.Sprintf("%.0f GiB of memory", float64(kib)/(1<<20))
		}
	}
	return fmt.Sprintf("%d cores (%s), %s, %s/%s", runtime.NumCPU(), model, memory, runtime.GOOS, runtime.GOARCH)
}

// load is the average load of the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// procField reads one "name: value" line of a file under /proc.
func procField(path, name string) (string, bool) {
	file, err := os.Open(path)
	if err != nil {
		return "", false
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		key, value, found := strings.Cut(lines.Text(), ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}
