package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Page is the whole report.
type Page struct {
	Command     string
	Machine     string
	Load        string // average load over the minute before the program began
	Versions    []string
	Repetitions int
	Sections    []Section
}

const introduction = `# Benchmarks

Written by ` + "`make bench`" + `; do not edit. Numbers of different machines do not compare: look at the ratios,
which come from one run.

    %s

On %s; the machine's load average before the run was %s, and anything well above 0
makes the figures coarse. %s.

- Every contestant is a whole process, or a pipeline of them, and its wall time ends when what it stored is on the
  disk: the shell pipeline's file is fsynced, behind restic and kopia the file system is flushed (` + "`sync -f`" + `),
  DataGuardian syncs by itself (in case storage it gets files as the others do, and behind an S3 server all are
  flushed). The file system is flushed before every run too, outside of its time.
- Rounds that count: %d unless the case says more, in each of them all contestants one after the other, beginning with another one each time; one round
  before them does not, so the page cache is warm. Medians, and the highest peak RSS.
- DataGuardian's wall time is what its client sees, from the request to the answer that says completed; zstd,
  encryption and quick verification are on (the defaults). restic compresses by its default (auto); kopia's default
  compresses nothing, so its policy is set to zstd-fastest. Both encrypt always.
- user + sys is that of the programs on the client's side, for DataGuardian of the worker with its tools; the
  database server's is not in it. Peak RSS is the sum of the peaks of a pipeline's programs (Linux tells none below the
  benchmark's own 15 to 50 MiB), and for DataGuardian the worker's own (VmHWM, reset before each run). *Stored* is what the files on the disk grew by; *before compression*
  are the plain bytes of new chunks (restic: data_added).
`

const limitsHead = `
## Limits

| | case | measured | |
|---|---|---:|---|
`

// Markdown renders the page.
func (p Page) Markdown() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, introduction, p.Command, p.Machine, p.Load, strings.Join(p.Versions, "; "), p.Repetitions)
	if slices.ContainsFunc(p.Sections, func(s Section) bool { return len(s.Limits) > 0 }) {
		out.WriteString(limitsHead)
	}
	for _, section := range p.Sections {
		for _, limit := range section.Limits {
			fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", limit.Text, section.Title, limit.Got, limit.Verdict)
		}
	}
	for _, section := range p.Sections {
		section.write(&out)
	}
	return out.Bytes()
}

// Broken lists the limits that do not hold and the cases that failed.
func (p Page) Broken() (lines []string) {
	for _, section := range p.Sections {
		if section.Failed != "" {
			lines = append(lines, fmt.Sprintf("%s: failed: %s", section.Title, firstLine(section.Failed)))
		}
		for _, limit := range section.Limits {
			if limit.Verdict == Broken {
				lines = append(lines, fmt.Sprintf("%s: %s is %s", section.Title, limit.Text, limit.Got))
			}
		}
	}
	return lines
}

// Unmeasured lists the limits that nobody knows of whether they hold, as where a rival could not be built.
func (p Page) Unmeasured() (lines []string) {
	for _, section := range p.Sections {
		for _, limit := range section.Limits {
			if limit.Verdict == NotMeasured {
				lines = append(lines, fmt.Sprintf("%s: %s was not measured", section.Title, limit.Text))
			}
		}
	}
	return lines
}
