package api

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/integration/bench/report"
)

// name is the path of the list, with its filters and without ids.
func (l listed) name() string {
	name := strings.TrimRight(l.path, "?&")
	for _, id := range strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("/=&", r) }) {
		if uuid.Validate(id) == nil {
			name = strings.Replace(name, id, "…", 1)
		}
	}
	return name + ofCaller(l.caller)
}

// ofCaller names a limited caller behind what they ask for.
func ofCaller(caller string) string {
	if caller == "" {
		return ""
	}
	return ", " + caller
}

// versions says what was measured, and on what.
func (s *speed) versions() string {
	commit, err := exec.CommandContext(s.t.Context(), "git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		commit = []byte("unknown") // a source tree without its history
	}
	return fmt.Sprintf("On %s; the load of the machine before was %s. %s, PostgreSQL %s, commit %s.",
		report.Machine(), report.Load(), runtime.Version(), s.one("SELECT split_part(current_setting('server_version'), ' ', 1)"), strings.TrimSpace(string(commit)))
}

// write writes the reports into the files that were asked for.
func (s *speed) write() {
	if *speedReport == "" {
		return
	}
	var out strings.Builder
	fmt.Fprintf(&out, speedHead, s.rows, s.jobs, s.datasources, mostOfBare, ms(mostPerPage), fullPage)
	out.WriteString("\n" + s.about + "\n\n" + s.report.String())
	fmt.Fprintf(&out, "\nLimits that do not hold: %d\n", len(s.broken))
	for _, one := range s.broken {
		fmt.Fprintf(&out, "- %s\n", one)
	}
	require.NoError(s.t, os.WriteFile(*speedReport, []byte(out.String()), 0o644))
	out.Reset()
	fmt.Fprintf(&out, plansHead, mostFiltered)
	for table, why := range readThrough {
		fmt.Fprintf(&out, "- `%s`: %s\n", table, why)
	}
	plans := strings.TrimSuffix(*speedReport, ".md") + "-plans.md"
	require.NoError(s.t, os.WriteFile(plans, []byte(out.String()+"\n"+s.about+"\n"+s.plans.String()), 0o644))
}

const speedHead = `# Speed of the API

Written by ` + "`make bench-api`" + `; do not edit. %d executions, %d backup jobs, %d datasources, 1,100 storage locations, and of everything else as many
rows as make a thousand pages; one job has a sixteenth of the executions. Medians of 21 rounds, the three of a line measured in turns.

- *API*: a request with a session over HTTP, from this process to itself, until the answer is read.
- *SELECT*: one bare ` + "`SELECT`" + ` of the same page over pgx, on a connection with the API's settings, with a parameter, so that it is planned each time as the API's are;
  its rows decoded and encoded as JSON. Of a list that shows more than its table has, it selects that too. That both are the same rows is checked.
- *SELECT over HTTP*: the same, served by a handler that does nothing besides: no session, no permission, no schema.
- The API must stay within %.0f × the SELECT over HTTP and within %.0f ms; a page of %d rows, which is the default, within 3 × the SELECT without HTTP, too. Pages of less rows
  are those of what is there a thousand or ten thousand times, or by a filter: there a round trip over HTTP costs more than the rows.
- Of a caller who is limited to some resources, the SELECT knows already what they see, and its times are there to compare: only the 50 ms are a limit.
- The page in the middle of the table is the 1,000th, where there are as many. The plans of all are in [api-plans.md](api-plans.md).
`

const plansHead = `# Plans of the lists of the API

Written by ` + "`make bench-api`" + ` with [api.md](api.md); do not edit. ` + "`EXPLAIN (ANALYZE)`" + ` of every statement that the API sent for a page, with the values it had. The run
fails if one reads through a table (` + "`Seq Scan`" + `), or reads more than %d rows in vain. Not held to that:

`
