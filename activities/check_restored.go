package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// mostDifferent is how many tables an error names.
const mostDifferent = 10

// CheckRestored checks what a drill restored: rows against what the backup recorded, foreign keys, and the
// job's assertions, in this order. The first that does not hold is the error.
func (a *Activities) CheckRestored(ctx context.Context, in contract.CheckRestoredInput) (domain.CheckReport, error) {
	var report domain.CheckReport
	err := a.withRestore(ctx, contract.RestoreStep{ExecutionID: in.ExecutionID}, func(ctx context.Context, r *restore) error {
		return a.waiting(ctx, r, domain.PhaseChecking, func() error {
			return a.reach(ctx, r.target, func(src engine.Source) (err error) {
				c := restoredChecks{r: r, wanted: *r.options.Checks}
				c.report = domain.CheckReport{Tables: in.Tables, RowCounts: "off", ForeignKeys: "off"}
				if c.loaded, err = loadedBy(r, src, in.Staging); err != nil {
					return err
				}
				if err := c.all(ctx); err != nil {
					return err
				}
				report = c.report
				return a.recordChecks(ctx, r, report)
			})
		})
	})
	return report, err
}

func (a *Activities) recordChecks(ctx context.Context, r *restore, report domain.CheckReport) error {
	all := domain.RestoreReport{Tables: report.Tables, Bytes: r.backup.execution.SizeBytes}
	if before := r.execution.Metadata.RestoreReport; before != nil {
		all = *before
	}
	all.Checks = &report
	a.log(ctx, r.execution.ID, "info", "checked: %d tables with %d rows (row counts: %s; foreign keys: %s; %d assertions hold)",
		report.Tables, report.Rows, report.RowCounts, report.ForeignKeys, len(report.Assertions))
	a.at("drill.checked")
	return a.DB.SetRestoreReport(ctx, r.execution.ID, all)
}

// restoredChecks is one run of the checks.
type restoredChecks struct {
	r      *restore
	loaded []loaded
	wanted domain.DrillOptions
	report domain.CheckReport
}

func (c *restoredChecks) all(ctx context.Context) error {
	if c.report.Tables == 0 {
		return failure.New(failure.Corrupt, "check the restored database", "it has no tables", "Look at what the backup job includes: a backup of nothing proves nothing.")
	}
	for _, check := range []func(context.Context) error{c.consistency, c.rows, c.keys, c.assertions} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// rows compares those of every database with what its part of the backup recorded, and counts what nothing was recorded of.
func (c *restoredChecks) rows(ctx context.Context) error {
	if !c.wanted.ChecksRows() {
		return nil
	}
	c.report.RowCounts = "same"
	var different []string
	for _, l := range c.loaded {
		found, known, err := c.compare(ctx, l)
		if err != nil {
			return l.within(err)
		}
		if !known {
			c.report.RowCounts = "not recorded"
		}
		different = append(different, found...)
	}
	if len(different) == 0 {
		return nil
	}
	more := ""
	if len(different) > mostDifferent {
		more = fmt.Sprintf(", and %d more tables", len(different)-mostDifferent)
	}
	return failure.New(failure.Corrupt, "compare the rows with those of the backup",
		strings.Join(different[:min(len(different), mostDifferent)], "; ")+more,
		"The restore did not bring back what was dumped: keep this backup, make another one, and look at the log of the restore.")
}

// compare says what is different in one database; known is false where nothing was recorded.
func (c *restoredChecks) compare(ctx context.Context, l loaded) (different []string, known bool, err error) {
	counter, ok := l.engine.(engine.RowCounter)
	if !ok {
		return nil, false, nil
	}
	recorded, known, err := counter.RecordedRows(l.streams)
	if err != nil {
		return nil, false, err
	}
	found, err := counter.CountRows(ctx, l.src)
	if err != nil {
		return nil, false, err
	}
	for _, n := range found {
		c.report.Rows += max(0, n)
	}
	if !known {
		return nil, false, nil
	}
	for _, text := range differences(recorded, found) {
		different = append(different, l.prefix()+text)
	}
	return different, true, nil
}

// differences says in which tables the rows are not those that were recorded.
func differences(recorded, found map[string]int64) []string {
	var out []string
	for table, want := range recorded {
		got, there := found[table]
		switch {
		case !there:
			out = append(out, fmt.Sprintf("table %s is missing (%d rows were dumped)", table, want))
		case got >= 0 && got != want:
			out = append(out, fmt.Sprintf("table %s has %d rows, %d were dumped", table, got, want))
		}
	}
	for table, got := range found {
		if _, there := recorded[table]; !there && got > 0 {
			out = append(out, fmt.Sprintf("table %s has %d rows and was not dumped", table, got))
		}
	}
	slices.Sort(out)
	return out
}

func (c *restoredChecks) keys(ctx context.Context) error {
	if !c.wanted.ChecksForeignKeys() {
		return nil
	}
	var broken []string
	c.report.ForeignKeys = "not checked"
	for _, l := range c.loaded {
		checker, ok := l.engine.(engine.KeyChecker)
		if !ok {
			return nil
		}
		found, _, err := checker.BrokenKeys(ctx, l.src)
		if err != nil {
			return l.within(err)
		}
		for _, key := range found {
			broken = append(broken, l.prefix()+key)
		}
	}
	if len(broken) > 0 {
		return failure.New(failure.Corrupt, "check the foreign keys", "these have rows that point to nothing: "+strings.Join(broken, ", "),
			"If the source has such rows too, switch the check off with drill_options.foreign_keys.")
	}
	c.report.ForeignKeys = "valid"
	return nil
}

func (c *restoredChecks) assertions(ctx context.Context) error {
	if len(c.wanted.Assertions) == 0 {
		return nil
	}
	if len(c.loaded) != 1 {
		return failure.New(failure.ConfigInvalid, "check the assertions", "they are for one database, and the backup is of a whole server", "Remove them from the drill job.")
	}
	querier, ok := c.loaded[0].engine.(engine.Querier)
	if !ok {
		return failure.New(failure.Unsupported, "check the assertions", fmt.Sprintf("a %s datasource answers no SQL", c.r.target.Type), "Remove them from the drill job.")
	}
	for _, assertion := range c.wanted.Assertions {
		op := "check assertion " + quoted(assertion.Name)
		value, holds, err := answerOf(ctx, querier, c.loaded[0].src, assertion)
		if err != nil {
			return statementFailure(op, assertion.SQL, err)
		}
		if !holds {
			wanted := "true"
			if assertion.Expect != "" {
				wanted = assertion.Expect
			}
			return failure.New(failure.Corrupt, op, fmt.Sprintf("the answer is %.200q, not %.200q", value, wanted), "Look at the data, or at the assertion.")
		}
		c.report.Assertions = append(c.report.Assertions, domain.AssertionFound{Name: assertion.Name, Value: fmt.Sprintf("%.200s", value)})
	}
	return nil
}
