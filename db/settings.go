package db

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// ScrubSettings reads how much the scrub reads; the default where nothing is set. A value that is
// out of range, which only somebody's own SQL can have stored, is ConfigInvalid.
func (q *Queries) ScrubSettings(ctx context.Context) (domain.ScrubSettings, error) {
	settings := domain.DefaultScrub()
	if err := q.setting(ctx, domain.SettingScrubShare, &settings.WeeklySharePercent); err != nil {
		return settings, err
	}
	if err := settings.Validate().OrNil(); err != nil {
		return settings, failure.Wrap(failure.ConfigInvalid, "read setting "+domain.SettingScrubShare, err, "Set it to 0 to 100.")
	}
	return settings, nil
}

// SetScrubSettings stores them; updatedBy is the id of a user, "" for the system. Errors:
// domain.Invalid.
func (q *Queries) SetScrubSettings(ctx context.Context, s domain.ScrubSettings, updatedBy string) error {
	if err := s.Validate().OrNil(); err != nil {
		return err
	}
	return q.putSetting(ctx, domain.SettingScrubShare, s.WeeklySharePercent, updatedBy)
}

// setting reads a value into into, and leaves into as it is where nothing is set.
func (q *Queries) setting(ctx context.Context, key string, into any) error {
	op := "read setting " + key
	value, err := q.q.GetSetting(ctx, key)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return translate(op, err)
	}
	return failure.Wrap(failure.ConfigInvalid, op, json.Unmarshal(value, into), "It has a value of another type.")
}

// inRange is ConfigInvalid of settings that are not allowed, which only somebody's own SQL can have stored.
func inRange(op string, faults domain.Invalid) error {
	return failure.Wrap(failure.ConfigInvalid, op, faults.OrNil(), "Set them to what is allowed.")
}

func (q *Queries) putSetting(ctx context.Context, key string, value any, updatedBy string) error {
	op := "set " + key
	document, err := json.Marshal(value)
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	return translate(op, q.q.PutSetting(ctx, dbgen.PutSettingParams{Key: key, Value: document, UpdatedBy: unlessZero(updatedBy)}))
}

// Settings reads everything that is set, by key; keys that this version does not know are in it.
func (q *Queries) Settings(ctx context.Context) (map[string]domain.StoredSetting, error) {
	rows, err := q.q.ListSettings(ctx)
	if err != nil {
		return nil, translate("read the settings", err)
	}
	stored := make(map[string]domain.StoredSetting, len(rows))
	for _, row := range rows {
		stored[row.Key] = domain.StoredSetting{Value: row.Value, UpdatedBy: row.UpdatedBy, UpdatedAt: row.UpdatedAt}
	}
	return stored, nil
}

// ChangeSettings sets keys, and takes those away whose value is nil, so that their default counts
// again. It checks nothing: see domain.Setting.Decode.
func (q *Queries) ChangeSettings(ctx context.Context, values map[string]any, updatedBy string) error {
	for key, value := range values {
		var err error
		if value == nil {
			err = translate("reset "+key, q.q.DeleteSetting(ctx, key))
		} else {
			err = q.putSetting(ctx, key, value, updatedBy)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// LockSettings keeps other changes of settings out until the transaction ends.
func (q *Queries) LockSettings(ctx context.Context) error {
	return translate("lock the settings", q.q.LockSettings(ctx))
}
