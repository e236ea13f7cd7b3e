package activities

import (
	"context"
	"fmt"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// finishStaging is the end of loading, in the same activity: a try after a lost one loads afresh, so that no
// statement runs twice on the same rows, and what is promoted has had all of them.
func (a *Activities) finishStaging(ctx context.Context, r *restore, src engine.Source, staged engine.StageReport) error {
	if r.options.RefuseEmpty && staged.Tables == 0 {
		return failure.New(failure.ConfigInvalid, "look at what was copied", "the source is empty: replacing the target with it would only delete",
			"Check the source, and include_tables. The target is as it was.")
	}
	if len(r.options.PostRestoreSQL) == 0 {
		return nil
	}
	executor, ok := r.stager.(engine.Executor)
	if !ok {
		return failure.New(failure.Unsupported, "run post_restore_sql", fmt.Sprintf("a %s datasource takes no SQL", r.target.Type), "Remove it from the sync job.")
	}
	if err := refuseNamed(r.options.PostRestoreSQL, r.target.Type, r.options.TargetDatabase, src.Config.Database); err != nil {
		return err
	}
	at := engine.At(src, staged.Staging)
	for i, statement := range r.options.PostRestoreSQL {
		if err := executor.Execute(ctx, at, statement); err != nil {
			return statementFailure(fmt.Sprintf("run post_restore_sql[%d]", i), statement, err)
		}
	}
	a.log(ctx, r.execution.ID, "info", "%d statements of post_restore_sql ran before anybody could see the data", len(r.options.PostRestoreSQL))
	a.at("sync.sql_ran")
	return nil
}

// refuseNamed refuses statements that would change a database of that name, and not the one that is being staged.
func refuseNamed(statements []string, t domain.DatasourceType, databases ...string) error {
	for i, statement := range statements {
		if name := domain.NamedDatabase(t, statement, databases...); name != "" {
			return failure.New(failure.ConfigInvalid, fmt.Sprintf("run post_restore_sql[%d]", i), fmt.Sprintf("it names database %q: %s", name, domain.HowToNameTables),
				"Change sync_options.post_restore_sql of the sync job. The target is as it was.")
		}
	}
	return nil
}

// answerOf runs an assertion and returns its one value as text.
func answerOf(ctx context.Context, querier engine.Querier, src engine.Source, assertion domain.DrillAssertion) (text string, holds bool, err error) {
	result, err := querier.Query(ctx, src, assertion.SQL)
	if err != nil {
		return "", false, err
	}
	if len(result.Rows) != 1 || len(result.Rows[0]) != 1 {
		return "", false, failure.New(failure.ConfigInvalid, "read its answer", fmt.Sprintf("it has %d rows of %d columns", len(result.Rows), len(result.Columns)),
			"Write it so that it answers one row of one column, for example select count(*) > 0 from orders.")
	}
	value := result.Rows[0][0]
	if value == nil {
		return "null", assertion.Expect == "null", nil
	}
	text = fmt.Sprint(value)
	if number, is := value.(float64); is {
		text = fmt.Sprintf("%v", number)
	}
	if assertion.Expect != "" {
		return text, text == assertion.Expect, nil
	}
	return text, text != "false" && text != "0" && text != "f" && text != "", nil
}
