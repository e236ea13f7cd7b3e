package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// pruneBatch is how many old rows one statement removes.
const pruneBatch = 5000

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
	expired, err := q.q.DeleteExpiredSessions(ctx)
	if err != nil {
		return removed, translate("remove expired sessions", err)
	}
	removed["auth_sessions"] = expired
	for _, kind := range []struct {
		table string
		batch func() (int64, error)
	}{
		{"health_checks", func() (int64, error) {
			return q.q.PruneHealthChecks(ctx, dbgen.PruneHealthChecksParams{Before: days(s.HealthChecksDays), MaxRows: pruneBatch})
		}},
		{"storage_health_checks", func() (int64, error) {
			return q.q.PruneStorageHealthChecks(ctx, dbgen.PruneStorageHealthChecksParams{Before: days(s.HealthChecksDays), MaxRows: pruneBatch})
		}},
		{"notifications", func() (int64, error) {
			return q.q.PruneNotifications(ctx, dbgen.PruneNotificationsParams{Before: days(s.NotificationsDays), MaxRows: pruneBatch})
		}},
	} {
		for n := int64(pruneBatch); n == pruneBatch; removed[kind.table] += n {
			if n, err = kind.batch(); err != nil {
				return removed, translate("remove old rows of "+kind.table, err)
			}
		}
	}
	return removed, nil
}

// PruneSettings reads how long what is no configuration and no backup is kept; the default where nothing is set. A
// value that is out of range, which only somebody's own SQL can have stored, is ConfigInvalid.
func (q *Queries) PruneSettings(ctx context.Context) (domain.PruneSettings, error) {
	s := domain.DefaultPrune()
	for key, into := range map[string]*int{domain.SettingPruneHealthChecks: &s.HealthChecksDays, domain.SettingPruneNotifications: &s.NotificationsDays} {
		if err := q.setting(ctx, key, into); err != nil {
			return s, err
		}
	}
	return s, failure.Wrap(failure.ConfigInvalid, "read the settings of pruning", s.Validate().OrNil(), "Set them to what is allowed.")
}
