// Package db is the metadata database: its pool, its rows with their typed documents, and the
// secrets in them, sealed under the installation's master key. Its methods return errors that are
// classified already; ErrNotFound and its neighbours are found with errors.Is.
package db

//go:generate sh -c "cd .. && go tool -modfile=tools/go.mod sqlc generate"

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// defaultMaxConns is the size of a process's pool when Config names none.
const defaultMaxConns = 10

// Config says which database, and under which key its secrets are sealed.
type Config struct {
	URL       string          // postgres://…; never logged
	MasterKey MasterKey       // required
	MaxConns  int32           // 0: 10
	Tracer    pgx.QueryTracer // told of every statement; nil for none
}

// DB is an open metadata database. Its methods run each on a connection of the pool; InTx binds
// several to one transaction. Safe for concurrent use.
type DB struct {
	*Queries
	pool  *pgxpool.Pool
	known knownAccess
}

// Queries has every query of the package, bound to the pool or to a transaction.
type Queries struct {
	q      *dbgen.Queries
	conn   connection
	sealer sealer
}

// connection is what a pool and a transaction have in common.
type connection interface {
	dbgen.DBTX
	Begin(ctx context.Context) (pgx.Tx, error)
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
}

// Open connects and makes sure that work can start: the schema is the one this binary was written
// for, and the master key is the one that the secrets are sealed under. The first Open of an
// installation stores the key's check value and makes the age identity. Errors: ErrSchemaOlder,
// ErrSchemaNewer, ErrWrongMasterKey, or of class Unreachable, AuthFailed or ConfigInvalid.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.MasterKey.IsZero() {
		return nil, failure.New(failure.ConfigInvalid, "open the database", "no master key is given", masterKeyHint)
	}
	poolConfig, err := poolConfig(cfg)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return nil, translate("open the database", err)
	}
	d := &DB{Queries: newQueries(pool, newSealer(cfg.MasterKey)), pool: pool}
	if err := d.prepare(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return d, nil
}

func (d *DB) prepare(ctx context.Context) error {
	if err := checkSchema(ctx, d.pool); err != nil {
		return err
	}
	if err := d.checkMasterKey(ctx); err != nil {
		return err
	}
	if err := d.sealLeftovers(ctx); err != nil {
		return err
	}
	return d.ensureAgeIdentity(ctx)
}

func poolConfig(cfg Config) (*pgxpool.Config, error) {
	pool, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, "read the database URL", err, databaseURLHint)
	}
	pool.MaxConns = cfg.MaxConns
	if pool.MaxConns <= 0 {
		pool.MaxConns = defaultMaxConns
	}
	pool.ConnConfig.Tracer = cfg.Tracer
	pool.MaxConnLifetime = time.Hour
	// Filters are written as "$1 IS NULL OR column = $1": a plan made for the values at hand drops
	// the ones that are not set and uses the right index, a generic plan can not.
	pool.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_custom_plan"
	pool.ConnConfig.RuntimeParams["application_name"] = "dataguardian"
	pool.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		conn.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}
	return pool, nil
}

func newQueries(conn connection, s sealer) *Queries {
	return &Queries{q: dbgen.New(conn), conn: conn, sealer: s}
}

// Close ends every connection; it waits for those in use.
func (d *DB) Close() { d.pool.Close() }

// Ping asks the server for an answer.
func (d *DB) Ping(ctx context.Context) error {
	return translate("ping the database", d.pool.Ping(ctx))
}

// InTx runs fn in one transaction: committed when fn returns nil, else rolled back and fn's error
// returned. A query that failed has ended the transaction, whatever fn does with its error.
func (d *DB) InTx(ctx context.Context, fn func(q *Queries) error) error {
	if outer, joined := ctx.Value(joinKey{}).(*Queries); joined {
		return outer.inTx(ctx, fn)
	}
	return d.inTx(ctx, fn)
}

type joinKey struct{}

// Joining gives a context with which InTx is a savepoint of q's transaction, so that several changes that are each made
// by InTx are made all or none. Queries that are not made in InTx do not see what the transaction has changed.
func Joining(ctx context.Context, q *Queries) context.Context {
	return context.WithValue(ctx, joinKey{}, q)
}

// Within gives the queries of the transaction that ctx joins, else those of the pool. Whoever holds a transaction and
// asks the pool for another connection waits for others who do the same.
func (d *DB) Within(ctx context.Context) *Queries {
	if outer, joined := ctx.Value(joinKey{}).(*Queries); joined {
		return outer
	}
	return d.Queries
}

// inTx is a transaction on the pool, and a savepoint inside a transaction.
func (q *Queries) inTx(ctx context.Context, fn func(q *Queries) error) error {
	var inner error
	err := pgx.BeginFunc(ctx, q.conn, func(tx pgx.Tx) error {
		inner = fn(newQueries(tx, q.sealer))
		return inner
	})
	if inner != nil {
		return inner
	}
	return translate("commit", err)
}
