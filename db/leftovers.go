package db

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/db/dbgen"
)

// heartbeatURL is the field of a job's options that earlier versions stored in the clear.
const heartbeatURL = "heartbeat_url"

// clearHeartbeat is the condition on jobs that theirs is stored so.
const clearHeartbeat = `COALESCE(backup_options ->> '` + heartbeatURL + `', '') <> '' AND backup_options ->> '` + heartbeatURL + `' NOT LIKE '` + envelopePrefix + `%'`

// sealLeftovers seals what earlier versions did not take for secrets: the address of a job's heartbeat and that of a
// webhook of format json. Where nothing is left, it reads two empty lists.
func (q *Queries) sealLeftovers(ctx context.Context) error {
	const op = "seal the addresses that an earlier version left in the clear"
	var left bool
	err := q.conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM backup_jobs WHERE `+clearHeartbeat+`)
		OR EXISTS (SELECT FROM notification_channels WHERE COALESCE(config ->> 'url', '') <> '')`).Scan(&left)
	if err != nil || !left {
		return translate(op, err)
	}
	return q.inSealingTx(ctx, func(q *Queries) error {
		if err := q.sealHeartbeats(ctx); err != nil {
			return translate(op, err)
		}
		return translate(op, q.sealWebhooks(ctx))
	})
}

func (q *Queries) sealHeartbeats(ctx context.Context) error {
	rows, err := q.conn.Query(ctx, `SELECT id::text, backup_options ->> 'heartbeat_url' FROM backup_jobs
		WHERE `+clearHeartbeat+` ORDER BY id FOR UPDATE`)
	if err != nil {
		return err
	}
	jobs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sealedRow])
	if err != nil {
		return err
	}
	column := sealedColumn{table: "backup_jobs", column: "backup_options", key: heartbeatURL}
	for _, job := range jobs {
		envelope, err := q.sealer.seal(optionsSecret(job.ID, heartbeatURL), job.Envelope)
		if err != nil {
			return err
		}
		if _, err := q.conn.Exec(ctx, column.updateStatement(), job.ID, envelope); err != nil {
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
