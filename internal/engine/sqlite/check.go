package sqlite

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// The checks. The full one reads every index besides, which takes several times as long.
const (
	quickCheck = "quick_check"
	fullCheck  = "integrity_check"
)

// maxFindings is how many problems SQLite is asked for. It looks at pages and trees before rows, so that damage
// comes first.
const maxFindings = 20

// harmless are the findings about rows that contradict a constraint or an index. Every row is there and
// is copied: a backup that refused them would leave nothing to restore.
var harmless = regexp.MustCompile(`^(NULL value in |NUMERIC value in |TEXT value in |non-[A-Z]+ value in |CHECK constraint failed in |non-unique entry in index |row \d+ missing from index |row \d+ values differ from index |wrong # of entries in index )`)

// verdict is what a check found.
type verdict struct {
	tables   int // tables that are not SQLite's own
	warnings []string
}

// check reads a whole file that nobody else has open. Damage is failure.Corrupt.
func check(ctx context.Context, path, pragma string) (verdict, error) {
	db, err := open(ctx, path, private)
	if err != nil {
		return verdict{}, damaged(err)
	}
	result, err := db.check(ctx, pragma)
	return result, errors.Join(err, db.close())
}

func (c *connection) check(ctx context.Context, pragma string) (verdict, error) {
	var result verdict
	err := c.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`).Scan(&result.tables)
	if err != nil {
		return result, damaged(err)
	}
	// A CHECK may use functions that only the application has.
	if _, err := c.ExecContext(ctx, "PRAGMA ignore_check_constraints = ON"); err != nil {
		return result, damaged(err)
	}
	findings, err := c.findings(ctx, pragma)
	switch {
	case codeOf(err) == sqlite3.SQLITE_ERROR: // a collation or a module that only the application has
		result.warnings = append(result.warnings, fmt.Sprintf("PRAGMA %s could not look at everything: %v", pragma, err))
	case err != nil:
		return result, damaged(err)
	}
	var broken []string
	for _, finding := range findings {
		switch {
		case finding == "ok":
		case harmless.MatchString(finding):
			result.warnings = append(result.warnings, fmt.Sprintf("PRAGMA %s: %s (the rows are all in the backup; REINDEX mends an index)", pragma, finding))
		default:
			broken = append(broken, strings.ReplaceAll(finding, "\n", "; "))
		}
	}
	if len(broken) > 0 {
		return result, failure.New(failure.Corrupt, "check the copy with PRAGMA "+pragma, strings.Join(broken[:min(3, len(broken))], "; "), damageHint)
	}
	return result, nil
}

func (c *connection) findings(ctx context.Context, pragma string) (found []string, err error) {
	rows, err := c.QueryContext(ctx, fmt.Sprintf("PRAGMA %s(%d)", pragma, maxFindings))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var finding string
		if err := rows.Scan(&finding); err != nil {
			return found, err
		}
		found = append(found, finding)
	}
	return found, rows.Err()
}

const damageHint = "The database is damaged: restore an older backup, or save what sqlite3's .recover can read. Older backups are not touched."

// damaged classifies an error of reading a copy: what SQLite can not make sense of is damage.
func damaged(err error) error {
	if isDamaged(err) {
		return failure.Wrap(failure.Corrupt, "read the copy", err, damageHint)
	}
	return classify("read the copy", err)
}
