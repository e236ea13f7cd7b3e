package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// pruneBatch is how many old rows one statement removes.
const pruneBatch = 5000

// expiredTokenDays is for how long a token that has expired is still listed.
const expiredTokenDays = 30

// InterruptedDeletion is an execution that has been marked as being deleted for long.
type InterruptedDeletion struct {
	ID         string
	Pool       string // whose workers reach it, "" any
	Storage    string // names, "" what is gone
	Datasource string
}

// InterruptedDeletions are those marked before the given time, the oldest of them.
func (q *Queries) InterruptedDeletions(ctx context.Context, markedBefore time.Time, limit int) ([]InterruptedDeletion, error) {
	rows, err := q.q.InterruptedDeletions(ctx, dbgen.InterruptedDeletionsParams{MarkedBefore: markedBefore, MaxRows: int32(limit)})
	if err != nil {
		return nil, translate("look for interrupted deletions", err)
	}
	return convert(rows, func(row dbgen.InterruptedDeletionsRow) (InterruptedDeletion, error) {
		return InterruptedDeletion(row), nil
	})
}

// Prune removes what is older than the settings say, and what has expired; it returns how many rows of each kind.
func (q *Queries) Prune(ctx context.Context, s domain.PruneSettings, now time.Time) (map[string]int64, error) {
	days := func(n int) time.Time { return now.AddDate(0, 0, -n) }
	removed := map[string]int64{}
	for table, remove := range map[string]func() (int64, error){
		"auth_sessions": func() (int64, error) { return q.q.DeleteExpiredSessions(ctx) },
		"oidc_handoffs": func() (int64, error) { return q.q.PruneHandoffs(ctx) },
		"api_tokens":    func() (int64, error) { return q.q.PruneAPITokens(ctx, days(expiredTokenDays)) },
	} {
		n, err := remove()
		if err != nil {
			return removed, translate("remove expired rows of "+table, err)
		}
		removed[table] = n
	}
	kinds := []pruned{
		{"idempotency_keys", func() (int64, error) { return q.q.PruneIdempotencyKeys(ctx, pruneBatch) }},
		{"health_checks", func() (int64, error) {
			return q.q.PruneHealthChecks(ctx, dbgen.PruneHealthChecksParams{Before: days(s.HealthChecksDays), MaxRows: pruneBatch})
		}},
		{"storage_health_checks", func() (int64, error) {
			return q.q.PruneStorageHealthChecks(ctx, dbgen.PruneStorageHealthChecksParams{Before: days(s.HealthChecksDays), MaxRows: pruneBatch})
		}},
		{"notifications", func() (int64, error) {
			return q.q.PruneNotifications(ctx, dbgen.PruneNotificationsParams{Before: days(s.NotificationsDays), MaxRows: pruneBatch})
		}},
	}
	if s.ExecutionsDays > 0 {
		kinds = append(kinds, q.prunedExecutions(ctx, days(s.ExecutionsDays))...)
	}
	for _, kind := range kinds {
		for n := int64(pruneBatch); n == pruneBatch; removed[kind.table] += n {
			var err error
			if n, err = kind.batch(); err != nil {
				return removed, translate("remove old rows of "+kind.table, err)
			}
		}
	}
	return removed, nil
}

// pruned is a table whose old rows go in batches.
type pruned struct {
	table string
	batch func() (int64, error)
}

// prunedExecutions are the tables of executions and runs, in the order in which the rows that the others name go.
func (q *Queries) prunedExecutions(ctx context.Context, before time.Time) []pruned {
	return []pruned{
		{"backup_executions", func() (int64, error) {
			return q.q.PruneExecutions(ctx, dbgen.PruneExecutionsParams{Before: before, MaxRows: pruneBatch})
		}},
		{"database_sync_executions", func() (int64, error) {
			return q.q.PruneSyncRuns(ctx, dbgen.PruneSyncRunsParams{Before: before, MaxRows: pruneBatch})
		}},
		{"restore_drill_executions", func() (int64, error) {
			return q.q.PruneDrillRuns(ctx, dbgen.PruneDrillRunsParams{Before: before, MaxRows: pruneBatch})
		}},
	}
}

// PendingCopies are the completed backups of which a copy is being made, or was when its workflow was lost.
func (q *Queries) PendingCopies(ctx context.Context) ([]string, error) {
	ids, err := q.q.PendingCopies(ctx)
	return ids, translate("look for backups that are being copied", err)
}

// PruneSettings reads how long what is no configuration and no backup is kept; the default where nothing is set. A
// value that is out of range, which only somebody's own SQL can have stored, is ConfigInvalid.
func (q *Queries) PruneSettings(ctx context.Context) (domain.PruneSettings, error) {
	s := domain.DefaultPrune()
	for key, into := range map[string]*int{
		domain.SettingPruneHealthChecks: &s.HealthChecksDays, domain.SettingPruneNotifications: &s.NotificationsDays,
		domain.SettingPruneExecutions: &s.ExecutionsDays,
	} {
		if err := q.setting(ctx, key, into); err != nil {
			return s, err
		}
	}
	return s, inRange("read the settings of pruning", s.Validate())
}
