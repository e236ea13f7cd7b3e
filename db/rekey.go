package db

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// sealedColumn is a place that sealed values live in: a text column, or one field of a document.
type sealedColumn struct {
	table  string
	column string
	key    string // field of a jsonb column, with dots and [n] where it is nested; "" for a text column
}

// sealedColumns lists every one; a test finds sealed values elsewhere.
var sealedColumns = append(addressColumns(), []sealedColumn{
	{table: "datasources", column: "connection_config", key: "password"},
	{table: "datasources", column: "connection_config", key: "uri"},
	{table: "datasources", column: "connection_config", key: "ssh_tunnel.password"},
	{table: "datasources", column: "connection_config", key: "ssh_tunnel.private_key"},
	{table: "datasources", column: "connection_config", key: "ssh_tunnel.passphrase"},
	{table: "storage_locations", column: "config", key: "password"},
	{table: "storage_locations", column: "config", key: "private_key"},
	{table: "storage_locations", column: "config", key: "passphrase"},
	{table: "storage_locations", column: "config", key: "secret_access_key"},
	{table: "storage_locations", column: "config", key: "secret_key"},
	{table: "storage_locations", column: "config", key: "application_key"},
	{table: "backup_jobs", column: "backup_options", key: "referenced_files.password"},
	{table: "backup_jobs", column: "backup_options", key: "referenced_files.private_key"},
	{table: "backup_jobs", column: "backup_options", key: "referenced_files.passphrase"},
	{table: "encryption_keys", column: "secret"},
	{table: "age_identities", column: "secret"},
	{table: "idempotency_keys", column: "answer"},
	{table: "notification_channels", column: "secrets"},
}...)

// Rekey seals every secret under another master key in one transaction and returns how many it
// sealed. Running processes keep the old key: they must be restarted with the new one, and until
// then are refused to write secrets. Errors: ErrWrongMasterKey when old is not the key in use.
func Rekey(ctx context.Context, url string, old, new MasterKey) (n int, err error) {
	const op = "change the master key"
	if old.IsZero() || new.IsZero() {
		return 0, failure.New(failure.ConfigInvalid, op, "both the old and the new key are needed", masterKeyHint)
	}
	if old.ID() == new.ID() {
		return 0, failure.New(failure.ConfigInvalid, op, "the new key is the old one", "Make a new one with `openssl rand -base64 32`.")
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, translate(op, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := checkSchema(ctx, conn); err != nil {
		return 0, err
	}
	from, to := newQueries(onConn{conn}, newSealer(old)), newSealer(new)
	err = from.inTx(ctx, func(q *Queries) error {
		n, err = q.rekey(ctx, to)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// onConn gives a single connection the shape of a pool.
type onConn struct{ *pgx.Conn }

func (q *Queries) rekey(ctx context.Context, to sealer) (int, error) {
	const op = "change the master key"
	if _, err := q.conn.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('dataguardian rekey', 0))"); err != nil {
		return 0, translate(op, err)
	}
	if err := q.sealLeftovers(ctx); err != nil {
		return 0, err
	}
	// The check value goes first: its row lock makes every write of a secret wait for our end.
	check, err := to.seal(checkPlace, checkText)
	if err != nil {
		return 0, err
	}
	stored, err := q.q.MasterKeyCheckForUpdate(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, failure.New(failure.NotFound, op, "this installation has no master key yet", "Start dataguardian with the new key.")
	}
	if err != nil {
		return 0, translate(op, err)
	}
	if err := q.openCheck(stored); err != nil {
		return 0, err
	}
	if _, err := q.q.ReplaceMasterKeyCheck(ctx, check); err != nil {
		return 0, translate(op, err)
	}
	total := 0
	for _, column := range sealedColumns {
		n, err := q.rekeyColumn(ctx, column, to)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

type sealedRow struct{ ID, Envelope string }

func (q *Queries) rekeyColumn(ctx context.Context, c sealedColumn, to sealer) (int, error) {
	op := "seal " + c.table + "." + c.column + " under the new key"
	rows, err := q.conn.Query(ctx, c.selectStatement())
	if err != nil {
		return 0, translate(op, err)
	}
	sealed, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sealedRow])
	if err != nil {
		return 0, translate(op, err)
	}
	for _, row := range sealed {
		at := place{table: c.table, rowID: row.ID, field: c.field()}
		secret, err := q.sealer.open(at, row.Envelope)
		if err != nil {
			return 0, err
		}
		envelope, err := to.seal(at, secret)
		if err != nil {
			return 0, err
		}
		if _, err := q.conn.Exec(ctx, c.updateStatement(), row.ID, envelope); err != nil {
			return 0, translate(op, err)
		}
	}
	return len(sealed), nil
}

func (c sealedColumn) field() string {
	if c.key == "" {
		return c.column
	}
	return c.column + "." + c.key
}

// jsonPath is key as Postgres writes a path.
func (c sealedColumn) jsonPath() string {
	return strings.NewReplacer(".", ",", "[", ",", "]", "").Replace(c.key)
}

// The names come from sealedColumns, never from outside.
func (c sealedColumn) selectStatement() string {
	value := c.column
	if c.key != "" {
		value = fmt.Sprintf("%s #>> '{%s}'", c.column, c.jsonPath())
	}
	return fmt.Sprintf("SELECT id::text, %s FROM %s WHERE COALESCE(%s, '') <> '' ORDER BY id FOR UPDATE", value, c.table, value)
}

func (c sealedColumn) updateStatement() string {
	value := "$2::text"
	if c.key != "" {
		value = fmt.Sprintf("jsonb_set(%s, '{%s}', to_jsonb($2::text))", c.column, c.jsonPath())
	}
	return fmt.Sprintf("UPDATE %s SET %s = %s WHERE id = $1::uuid", c.table, c.column, value)
}

var _ dbgen.DBTX = onConn{}
