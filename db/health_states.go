package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// HealthSettings reads how often things are checked and what is bad; the default where nothing is set. A value that is
// out of range, which only somebody's own SQL can have stored, is ConfigInvalid.
func (q *Queries) HealthSettings(ctx context.Context) (domain.HealthSettings, error) {
	s := domain.DefaultHealth()
	for key, into := range map[string]*int{
		domain.SettingHealthInterval: &s.IntervalSeconds, domain.SettingHealthLatency: &s.LatencyWarningMS, domain.SettingHealthFailures: &s.FailuresToCritical,
	} {
		if err := q.setting(ctx, key, into); err != nil {
			return s, err
		}
	}
	return s, inRange("read the settings of health", s.Validate())
}

// CheckedState is where something that is checked stands.
type CheckedState struct {
	domain.HealthState
	Since     time.Time // when what people were told last changed
	CheckedAt time.Time
}

// MoveHealth replaces the state of something that is checked by what judge makes of it, and tells people what judge
// says, in one transaction: two checks that end together do not both tell.
func (q *Queries) MoveHealth(ctx context.Context, kind domain.CheckedKind, id string, judge func(domain.HealthState) (domain.HealthState, *Notification)) error {
	op := "record the state of " + string(kind) + " " + id
	return q.inTx(ctx, func(q *Queries) error {
		if err := q.q.MakeHealthState(ctx, dbgen.MakeHealthStateParams{EntityType: string(kind), EntityID: id}); err != nil {
			return translate(op, err)
		}
		row, err := q.q.LockHealthState(ctx, dbgen.LockHealthStateParams{EntityType: string(kind), EntityID: id})
		if err != nil {
			return translate(op, err)
		}
		next, tell := judge(domain.HealthState{Failures: int(row.Failures), Announced: domain.HealthAnnouncement(row.Announced)})
		if err := q.q.SetHealthState(ctx, dbgen.SetHealthStateParams{
			EntityType: string(kind), EntityID: id, Failures: int32(next.Failures), Announced: string(next.Announced), //nolint:gosec // counted one by one
		}); err != nil {
			return translate(op, err)
		}
		if tell == nil {
			return nil
		}
		if tell.Metadata == nil {
			tell.Metadata = map[string]any{}
		}
		tell.Metadata[domain.MetadataCondition] = string(kind) + ":" + id
		return q.AddNotification(ctx, *tell)
	})
}

// HealthStates reads the states of everything of a kind, by id.
func (q *Queries) HealthStates(ctx context.Context, kind domain.CheckedKind) (map[string]CheckedState, error) {
	rows, err := q.q.HealthStates(ctx, string(kind))
	out := make(map[string]CheckedState, len(rows))
	for _, row := range rows {
		out[row.EntityID] = checkedState(row)
	}
	return out, translate("read health states", err)
}

func checkedState(row dbgen.HealthStatesRow) CheckedState {
	return CheckedState{
		HealthState: domain.HealthState{Failures: int(row.Failures), Announced: domain.HealthAnnouncement(row.Announced)}, Since: row.Since, CheckedAt: row.CheckedAt,
	}
}

// ForgetHealthStates removes the states of what is gone.
func (q *Queries) ForgetHealthStates(ctx context.Context) error {
	return translate("forget the health of what is gone", q.q.ForgetHealthStates(ctx))
}

// PoolsInUse lists the pools of enabled datasources and storage locations.
func (q *Queries) PoolsInUse(ctx context.Context) ([]string, error) {
	pools, err := q.q.PoolsInUse(ctx)
	return pools, translate("list the pools", err)
}
