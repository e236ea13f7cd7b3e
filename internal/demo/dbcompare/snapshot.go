package dbcompare

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// snapshot is all that is compared of one database.
type snapshot struct {
	tables  map[string]Content
	objects map[objectID]string
	refused map[string]string // probes that the server refused, and why
}

// settings make the server write values and definitions the same way whatever the database, the
// role or the client configured. search_path empty makes every name schema-qualified.
const settings = `
SET LOCAL client_encoding = 'UTF8';
SET LOCAL search_path = '';
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, YMD';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 3;
SET LOCAL xmloption = 'content';
SET LOCAL lc_monetary = 'C';
SET LOCAL quote_all_identifiers = off;
SET LOCAL row_security = off;
SET LOCAL statement_timeout = 0;`

func read(ctx context.Context, conn *pgx.Conn, probes []string) (_ snapshot, err error) {
	database := conn.Config().Database
	defer func() {
		if err != nil {
			err = fmt.Errorf("compare: read database %q: %w", database, err)
		}
	}()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return snapshot{}, err
	}
	// Nothing was written, so a failed rollback loses nothing: the connection is closed by pgx then.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err = tx.Exec(ctx, settings); err != nil {
		return snapshot{}, err
	}

	s := snapshot{tables: map[string]Content{}, objects: map[objectID]string{}, refused: map[string]string{}}
	if err = s.readTables(ctx, tx); err != nil {
		return snapshot{}, err
	}
	if err = s.readLargeObjects(ctx, tx); err != nil {
		return snapshot{}, err
	}
	if err = s.readDefinitions(ctx, tx); err != nil {
		return snapshot{}, err
	}
	if err = s.readSequences(ctx, tx); err != nil {
		return snapshot{}, err
	}
	return s, s.readProbes(ctx, tx, probes)
}

// hashRows reads rows (a query with one text column) and hashes them as a set with repetitions: it
// adds up, over all rows, the two halves of the MD5 of each row's text, modulo 2^64 each. A sum does
// not depend on the order of the rows, and unlike XOR it notices a row that is there twice. In a
// row's text NULL is nothing and the empty string is "", so they differ. The bytes hashed are UTF-8
// whatever the encoding of the database. OFFSET 0 keeps the planner from hashing every row twice.
func hashRows(ctx context.Context, tx pgx.Tx, rows string) (Content, error) {
	query := `
SELECT count(*), coalesce(sum(('x' || left(md5, 16))::bit(64)::bigint), 0)::text,
       coalesce(sum(('x' || right(md5, 16))::bit(64)::bigint), 0)::text
FROM (SELECT md5(convert_to(row_text, 'UTF8')) FROM (` + rows + `) AS source(row_text) OFFSET 0) AS hashed(md5)`
	var content Content
	var high, low string
	if err := tx.QueryRow(ctx, query).Scan(&content.Rows, &high, &low); err != nil {
		return Content{}, err
	}
	for _, sum := range []string{high, low} {
		n, ok := new(big.Int).SetString(sum, 10)
		if !ok {
			return Content{}, fmt.Errorf("the server's sum %q is not an integer", sum)
		}
		content.Hash += fmt.Sprintf("%016x", n.Mod(n, modulus)) // Mod is never negative
	}
	return content, nil
}

var modulus = new(big.Int).Lsh(big.NewInt(1), 64)

func (s *snapshot) readTables(ctx context.Context, tx pgx.Tx) error {
	names, err := column(ctx, tx, relationsSQL)
	if err != nil {
		return err
	}
	for _, name := range names {
		// FROM ONLY: the rows of an inheriting table are that table's, not its parent's. The row is
		// written (x.*), because a plain x would be a column of that name where there is one.
		content, err := hashRows(ctx, tx, "SELECT (x.*)::text FROM ONLY "+name+" x")
		if err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		s.tables[name] = content
	}
	return nil
}

// LargeObjects is the name under which the rows of all large objects are compared, where there are any.
const LargeObjects = "(large objects)"

func (s *snapshot) readLargeObjects(ctx context.Context, tx pgx.Tx) error {
	content, err := hashRows(ctx, tx,
		"SELECT m.oid::text || ':' || md5(lo_get(m.oid)) FROM pg_catalog.pg_largeobject_metadata m")
	if err != nil {
		return fmt.Errorf("large objects: %w", err)
	}
	if content.Rows > 0 {
		s.tables[LargeObjects] = content
	}
	return nil
}

func (s *snapshot) readDefinitions(ctx context.Context, tx pgx.Tx) error {
	for _, d := range definitions {
		rows, err := tx.Query(ctx, d.query)
		if err != nil {
			return fmt.Errorf("%ss: %w", d.kind, err)
		}
		var name, definition string
		_, err = pgx.ForEachRow(rows, []any{&name, &definition}, func() error {
			s.objects[objectID{d.kind, name}] = definition
			return nil
		})
		if err != nil {
			return fmt.Errorf("%ss: %w", d.kind, err)
		}
	}
	return nil
}

// readSequences reads the sequences themselves: the catalogue view does not tell is_called, and
// without it the next value is off by one.
func (s *snapshot) readSequences(ctx context.Context, tx pgx.Tx) error {
	names, err := column(ctx, tx, sequencesSQL)
	if err != nil {
		return fmt.Errorf("sequences: %w", err)
	}
	for _, name := range names {
		var position string
		query := "SELECT last_value || CASE WHEN is_called THEN ' (used)' ELSE ' (unused)' END FROM " + name
		if err := tx.QueryRow(ctx, query).Scan(&position); err != nil {
			return fmt.Errorf("sequence %s: %w", name, err)
		}
		s.objects[objectID{"sequence position", name}] = position
	}
	return nil
}

// readProbes runs the queries of the caller. One that the server refuses is an outcome, so that a
// function that is missing on one side is a difference; the savepoint keeps the snapshot usable.
func (s *snapshot) readProbes(ctx context.Context, tx pgx.Tx, probes []string) error {
	for _, probe := range probes {
		nested, err := tx.Begin(ctx)
		if err != nil {
			return fmt.Errorf("query %q: %w", probe, err)
		}
		lines, err := column(ctx, nested, "SELECT (x.*)::text FROM ("+probe+") x")
		var refused *pgconn.PgError
		switch {
		case errors.As(err, &refused):
			s.refused[probe] = refused.Message
			s.objects[objectID{"query", probe}] = "error: " + refused.Message
		case err != nil:
			return fmt.Errorf("query %q: %w", probe, err)
		default:
			s.objects[objectID{"query", probe}] = strings.Join(lines, "\n")
		}
		if err := nested.Rollback(ctx); err != nil {
			return fmt.Errorf("query %q: %w", probe, err)
		}
	}
	return nil
}

func column(ctx context.Context, tx pgx.Tx, query string) ([]string, error) {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
