package db

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// heartbeatURL is the field of a job's options with the address of its heartbeat.
const heartbeatURL = "heartbeat_url"

// isAddress reports whether earlier versions stored this field of a job's options in the clear.
func isAddress(field string) bool {
	return field == heartbeatURL || strings.HasPrefix(field, "hooks.")
}

// addressColumns are the fields of a job's options that are addresses: of its heartbeat, and of its hooks.
func addressColumns() []sealedColumn {
	columns := []sealedColumn{{table: "backup_jobs", column: "backup_options", key: heartbeatURL}}
	for _, moment := range domain.HookMoments() {
		for i := range domain.MaxHooks {
			columns = append(columns, sealedColumn{table: "backup_jobs", column: "backup_options", key: domain.HookURLField(moment, i)})
		}
	}
	return columns
}

// clearAddress is the condition on jobs that an address of theirs is stored in the clear.
const (
	clearAddress = `(jsonb_path_exists(backup_options, '$.heartbeat_url` + isClear + `') OR jsonb_path_exists(backup_options, '$.hooks.*[*].url` + isClear + `'))`
	isClear      = ` ? (@ != "" && !(@ starts with "` + envelopePrefix + `"))`
)

// sealLeftovers seals what earlier versions did not take for secrets: the addresses of a job's heartbeat and hooks, and that of a
// webhook of format json. Where nothing is left, it reads two empty lists.
func (q *Queries) sealLeftovers(ctx context.Context) error {
	const op = "seal the addresses that an earlier version left in the clear"
	var left bool
	err := q.conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM backup_jobs WHERE `+clearAddress+`)
		OR EXISTS (SELECT FROM notification_channels WHERE COALESCE(config ->> 'url', '') <> '')`).Scan(&left)
	if err != nil || !left {
		return translate(op, err)
	}
	return q.inSealingTx(ctx, func(q *Queries) error {
		for _, column := range addressColumns() {
			if err := q.sealClear(ctx, column); err != nil {
				return translate(op, err)
			}
		}
		return translate(op, q.sealWebhooks(ctx))
	})
}

// sealClear seals the values of a column that are not sealed yet.
func (q *Queries) sealClear(ctx context.Context, column sealedColumn) error {
	rows, err := q.conn.Query(ctx, column.selectStatement())
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sealedRow])
	if err != nil {
		return err
	}
	for _, row := range found {
		if strings.HasPrefix(row.Envelope, envelopePrefix) {
			continue
		}
		envelope, err := q.sealer.seal(place{table: column.table, rowID: row.ID, field: column.field()}, row.Envelope)
		if err != nil {
			return err
		}
		if _, err := q.conn.Exec(ctx, column.updateStatement(), row.ID, envelope); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queries) sealWebhooks(ctx context.Context) error {
	rows, err := q.conn.Query(ctx, `SELECT id::text FROM notification_channels WHERE COALESCE(config ->> 'url', '') <> '' ORDER BY id FOR UPDATE`)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, id := range ids {
		channel, err := q.GetChannel(ctx, id)
		if err != nil {
			return err
		}
		config, secrets, err := q.sealChannel(id, channel.Config)
		if err != nil {
			return err
		}
		if _, err := q.q.UpdateChannel(ctx, dbgen.UpdateChannelParams{
			ID: id, Name: channel.Name, Enabled: channel.Enabled, Config: config, Secrets: secrets, Rules: channel.Rules,
		}); err != nil {
			return err
		}
	}
	return nil
}
