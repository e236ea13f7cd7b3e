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
				c := restoredChecks{r: r, src: engine.At(src, in.Staging), wanted: *r.options.Checks}
				c.src.Disposable = r.options.VerificationMode
				c.report = domain.CheckReport{Tables: in.Tables, RowCounts: "off", ForeignKeys: "off"}
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
	src    engine.Source // the temporary database
	wanted domain.DrillOptions
	report domain.CheckReport
}

func (c *restoredChecks) all(ctx context.Context) error {
	if c.report.Tables == 0 {
		return failure.New(failure.Corrupt, "check the restored database", "it has no tables", "Look at what the backup job includes: a backup of nothing proves nothing.")
	}
	if err := c.rows(ctx); err != nil {
		return err
	}
	if err := c.keys(ctx); err != nil {
		return err
	}
	return c.assertions(ctx)
}

func (c *restoredChecks) rows(ctx context.Context) error {
	counter, ok := c.r.stager.(engine.RowCounter)
	if !c.wanted.ChecksRows() {
		return nil
	}
	if c.report.RowCounts = "not recorded"; !ok {
		return nil
	}
	recorded, known, err := counter.RecordedRows(c.r.request().Streams)
	if err != nil {
		return err
	}
	found, err := counter.CountRows(ctx, c.src)
	if err != nil {
		return err
	}
	for _, n := range found {
		c.report.Rows += max(0, n)
	}
	if !known {
		return nil
	}
	if different := differences(recorded, found); len(different) > 0 {
		more := ""
		if len(different) > mostDifferent {
			more = fmt.Sprintf(", and %d more tables", len(different)-mostDifferent)
		}
		return failure.New(failure.Corrupt, "compare the rows with those of the backup",
			strings.Join(different[:min(len(different), mostDifferent)], "; ")+more,
			"The restore did not bring back what was dumped: keep this backup, make another one, and look at the log of the restore.")
	}
	c.report.RowCounts = "same"
	return nil
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
	checker, ok := c.r.stager.(engine.KeyChecker)
	if c.report.ForeignKeys = "not checked"; !ok {
		return nil
	}
	broken, _, err := checker.BrokenKeys(ctx, c.src)
	if err != nil {
		return err
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
	querier, ok := c.r.stager.(engine.Querier)
	if !ok {
		return failure.New(failure.Unsupported, "check the assertions", fmt.Sprintf("a %s datasource answers no SQL", c.r.target.Type), "Remove them from the drill job.")
	}
	for _, assertion := range c.wanted.Assertions {
		op := "check assertion " + quoted(assertion.Name)
		value, holds, err := answerOf(ctx, querier, c.src, assertion)
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
