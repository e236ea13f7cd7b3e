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

func (q *Queries) putSetting(ctx context.Context, key string, value any, updatedBy string) error {
	op := "set " + key
	document, err := json.Marshal(value)
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	return translate(op, q.q.PutSetting(ctx, dbgen.PutSettingParams{Key: key, Value: document, UpdatedBy: unlessZero(updatedBy)}))
}
