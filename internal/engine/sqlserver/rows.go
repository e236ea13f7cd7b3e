package sqlserver

import (
	"context"
	"fmt"
	"slices"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// mostBroken is how many foreign keys are named.
const mostBroken = 10

// RecordedRows knows nothing: rows do not pass by in a native backup, and counting beside it would be of another moment
// (docs/decisions/0039-restore-drills.md).
func (e *Engine) RecordedRows([]engine.Stream) (map[string]int64, bool, error) {
	return nil, false, nil
}

// externalTables is the version that brought them: SQL Server 2016.
const externalTables = 13

// CountRows reads every row of every table.
func (e *Engine) CountRows(ctx context.Context, src engine.Source) (map[string]int64, error) {
	s, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return nil, err
	}
	defer s.close()
	const op = "count the restored rows"
	version, err := s.version(ctx)
	if err != nil {
		return nil, err
	}
	own := ""
	if version.major >= externalTables { // their rows are elsewhere
		own = " AND is_external = 0"
	}
	tables, err := s.table(ctx, op, `SELECT SCHEMA_NAME(schema_id) AS schema_name, name FROM sys.tables WHERE is_ms_shipped = 0`+own)
	if err != nil {
		return nil, err
	}
	rows := make(map[string]int64, len(tables))
	for _, table := range tables {
		name := quoted(table.text("schema_name")) + "." + quoted(table.text("name"))
		var n int64
		if err := s.QueryRowContext(ctx, "SELECT COUNT_BIG(*) FROM "+name).Scan(&n); err != nil {
			return nil, classify(op, err)
		}
		rows[name] = n
	}
	return rows, nil
}

// BrokenKeys has the server look for rows whose foreign key points to nothing, of keys that are enabled: RESTORE brings
// them back as they were.
func (e *Engine) BrokenKeys(ctx context.Context, src engine.Source) (broken []string, looked int, err error) {
	s, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return nil, 0, err
	}
	defer s.close()
	const op = "check the foreign keys"
	keys, err := s.table(ctx, op, `SELECT OBJECT_SCHEMA_NAME(parent_object_id) AS schema_name, OBJECT_NAME(parent_object_id) AS table_name, name
		FROM sys.foreign_keys WHERE is_disabled = 0 AND is_ms_shipped = 0`)
	if err != nil {
		return nil, 0, err
	}
	for _, key := range keys {
		name := quoted(key.text("schema_name")) + "." + quoted(key.text("name"))
		rows, err := s.table(ctx, op, "DBCC CHECKCONSTRAINTS ("+literal(name)+") WITH NO_INFOMSGS")
		if err != nil {
			return broken, looked, err
		}
		looked++
		if len(rows) > 0 && len(broken) < mostBroken {
			broken = append(broken, fmt.Sprintf("%s of table %s", key.text("name"), key.text("table_name")))
		}
	}
	return broken, looked, nil
}

// CheckConsistency runs DBCC CHECKDB: RESTORE looks at checksums of pages, and not at what is in them.
func (e *Engine) CheckConsistency(ctx context.Context, src engine.Source) error {
	s, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return err
	}
	defer s.close()
	const op = "run DBCC CHECKDB"
	_, err = s.ExecContext(ctx, "DBCC CHECKDB ("+literal(src.Config.Database)+") WITH NO_INFOMSGS")
	if checkedOffline(err) {
		return nil
	}
	if isDamage(err) {
		return &failure.Error{Class: failure.Corrupt, Op: op, Cause: &serverError{firstAndLast(answers(err))}, Hint: "The backup holds a database that is damaged: run DBCC CHECKDB on the source, mend it, and make another backup."}
	}
	return classify(op, err)
}

// mostDamages is how many of the server's errors are shown, beside the last, which counts them.
const mostDamages = 3

func firstAndLast(all []mssql.Error) []mssql.Error {
	if len(all) <= mostDamages+1 {
		return all
	}
	return append(slices.Clone(all[:mostDamages]), all[len(all)-1])
}

// isDamage knows the numbers of what DBCC CHECKDB finds.
func isDamage(err error) bool {
	for _, one := range answers(err) {
		n := one.Number
		found := (n > 2510 && n < 2600) || (n >= 5200 && n < 5300) || (n >= 7900 && n < 8000) || (n >= 8900 && n < 9000)
		if found && !slices.Contains(noDamage, n) {
			return true
		}
	}
	return false
}

// onlyOffline is the number of "The database snapshot for online checks could not be created": it checks all the same, as nobody
// else uses the database.
const onlyOffline = 7928

// noDamage are numbers of a check that could not be made: no lock, no right, and no room in tempdb or another reason.
var noDamage = []int32{7926, onlyOffline, 7983, 8921, 8967}

// checkedOffline reports whether nothing else was said.
func checkedOffline(err error) bool {
	all := answers(err)
	return len(all) > 0 && !slices.ContainsFunc(all, func(one mssql.Error) bool { return one.Number != onlyOffline })
}
