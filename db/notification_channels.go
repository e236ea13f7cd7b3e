package db

import (
	"context"
	"encoding/json"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Channel is a way by which notifications reach people. Config holds its secrets in plain text: they are
// sealed on the way in and opened on the way out.
type Channel struct {
	ID        string
	Name      string
	Type      domain.ChannelType
	Enabled   bool
	Config    domain.ChannelConfig
	Rules     domain.ChannelRules
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time

	FailingSince *time.Time // since when messages to it fail; nil: the latest one did not
}

// CreateChannel stores a new channel; an empty ID is made up. Errors: DuplicateError.
func (q *Queries) CreateChannel(ctx context.Context, c Channel) (Channel, error) {
	id, err := idOr(c.ID)
	if err != nil {
		return Channel{}, err
	}
	config, secrets, err := q.sealChannel(id, c.Config)
	if err != nil {
		return Channel{}, err
	}
	var row dbgen.NotificationChannel
	err = q.inSealingTx(ctx, func(q *Queries) error {
		row, err = q.q.CreateChannel(ctx, dbgen.CreateChannelParams{
			ID: id, Name: c.Name, Type: string(c.Type), Enabled: c.Enabled, Config: config, Secrets: secrets, Rules: c.Rules,
		})
		return translate("create notification channel", err)
	})
	if err != nil {
		return Channel{}, err
	}
	return q.channel(row)
}

// GetChannel reads one. Errors: ErrNotFound.
func (q *Queries) GetChannel(ctx context.Context, id string) (Channel, error) {
	op := "read notification channel " + id
	if err := checkID(op, id); err != nil {
		return Channel{}, err
	}
	row, err := q.q.GetChannel(ctx, id)
	if err != nil {
		return Channel{}, translate(op, err)
	}
	return q.channel(row)
}

// ChannelName reads the name of one, also where its secrets can not be opened. Errors: ErrNotFound.
func (q *Queries) ChannelName(ctx context.Context, id string) (string, error) {
	row, err := q.q.GetChannel(ctx, id)
	return row.Name, translate("read the name of notification channel "+id, err)
}

// ListChannels reads one page and the cursor of the next, "" on the last one. Errors: ErrInvalidCursor.
func (q *Queries) ListChannels(ctx context.Context, page Page) ([]Channel, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListChannels(ctx, dbgen.ListChannelsParams{BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch()})
	if err != nil {
		return nil, "", translate("list notification channels", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.NotificationChannel) (time.Time, string) { return r.CreatedAt, r.ID })
	out, err := convert(rows, q.channel)
	return out, next, err
}

// UpdateChannel replaces everything but type and times. c.Version is the version that was read; 0
// overwrites whatever is there. What waits for a channel that is switched off is dropped. Errors:
// ErrNotFound, ErrVersionMismatch, DuplicateError.
func (q *Queries) UpdateChannel(ctx context.Context, c Channel) (Channel, error) {
	op := "update notification channel " + c.ID
	if err := checkID(op, c.ID); err != nil {
		return Channel{}, err
	}
	config, secrets, err := q.sealChannel(c.ID, c.Config)
	if err != nil {
		return Channel{}, err
	}
	var row dbgen.NotificationChannel
	err = q.inSealingTx(ctx, func(q *Queries) error {
		row, err = q.q.UpdateChannel(ctx, dbgen.UpdateChannelParams{
			ID: c.ID, Name: c.Name, Enabled: c.Enabled, Config: config, Secrets: secrets, Rules: c.Rules, ExpectedVersion: c.Version,
		})
		if err == nil && !row.Enabled {
			return translate(op, q.q.DropWaiting(ctx, dbgen.DropWaitingParams{ChannelID: &c.ID, Reason: "the channel was switched off"}))
		}
		return mismatchOr(translate(op, err), func() error { _, err := q.q.GetChannel(ctx, c.ID); return err })
	})
	if err != nil {
		return Channel{}, err
	}
	return q.channel(row)
}

// DeleteChannel deletes a channel; its deliveries stay as history, and what waits for it is dropped.
// Errors: ErrNotFound.
func (q *Queries) DeleteChannel(ctx context.Context, id string) error {
	op := "delete notification channel " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	return q.inTx(ctx, func(q *Queries) error {
		if _, err := q.q.LockChannel(ctx, id); err != nil {
			return translate(op, err)
		}
		if err := q.q.DropWaiting(ctx, dbgen.DropWaitingParams{ChannelID: &id, Reason: channelDeleted}); err != nil {
			return translate(op, err)
		}
		_, err := q.q.DeleteChannel(ctx, id)
		return translate(op, err)
	})
}

const channelDeleted = "the channel was deleted"

// channelSecrets is where the secrets of a channel are sealed, as one document.
func channelSecrets(id string) place {
	return place{table: "notification_channels", rowID: id, field: "secrets"}
}

// sealChannel takes the secrets out of a configuration, and seals them.
func (q *Queries) sealChannel(id string, c domain.ChannelConfig) (domain.ChannelConfig, string, error) {
	c = c.Clone()
	secrets := map[string]string{}
	for name, field := range c.Secrets() {
		if *field != "" {
			secrets[name] = *field
			*field = ""
		}
	}
	if len(secrets) == 0 {
		return c, "", nil
	}
	document, err := json.Marshal(secrets)
	if err != nil {
		return c, "", failure.Wrap(failure.Unknown, "seal the secrets of a channel", err, "")
	}
	sealed, err := q.sealer.seal(channelSecrets(id), string(document))
	return c, sealed, err
}

func (q *Queries) channel(row dbgen.NotificationChannel) (Channel, error) {
	c := Channel{
		ID: row.ID, Name: row.Name, Type: row.Type, Enabled: row.Enabled, Config: row.Config, Rules: row.Rules,
		Version: row.Version, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, FailingSince: row.FailingSince,
	}
	document, err := q.sealer.open(channelSecrets(row.ID), row.Secrets)
	if err != nil || document == "" {
		return c, err
	}
	var secrets map[string]string
	if err := json.Unmarshal([]byte(document), &secrets); err != nil {
		return c, failure.Wrap(failure.Corrupt, "read the secrets of channel "+row.Name, err, "Save the secrets again.")
	}
	for name, field := range c.Config.Secrets() {
		if secret, sealed := secrets[name]; sealed { // else of an earlier version, see sealLeftovers
			*field = secret
		}
	}
	return c, nil
}
