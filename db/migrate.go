package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the database/sql driver that goose needs
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/migrations"
)

// How often and for how long a process waits for another one that migrates: every second, 10 minutes.
const (
	migrationLockPeriod = 1
	migrationLockTries  = 600
)

// Migrate brings the database to the schema of this binary. Several processes may call it at once:
// a session advisory lock lets one work and the others find it done. A database that a newer
// binary has migrated is left alone: ErrSchemaNewer.
func Migrate(ctx context.Context, url string) error {
	return withMigrations(ctx, url, func(handle *sql.DB, provider *goose.Provider) error {
		err := checkSchema(ctx, sqlRow{handle})
		if err == nil || errors.Is(err, ErrSchemaNewer) {
			return err
		}
		if !errors.Is(err, ErrSchemaOlder) {
			return err
		}
		if _, err := provider.Up(ctx); err != nil {
			return translate("migrate the database", err)
		}
		return checkSchema(ctx, sqlRow{handle}) // a newer binary may have been first
	})
}

// SchemaVersion is the schema that this binary was written for: its newest migration.
func SchemaVersion() int64 {
	names, err := migrations.Files.ReadDir(".")
	if err != nil || len(names) == 0 {
		panic("no migrations are embedded")
	}
	version, err := goose.NumericComponent(names[len(names)-1].Name()) // ReadDir sorts by name
	if err != nil {
		panic(err) // a file name without a number: a test reads every one
	}
	return version
}

func withMigrations(ctx context.Context, url string, fn func(*sql.DB, *goose.Provider) error) error {
	if _, err := pgx.ParseConfig(url); err != nil {
		return failure.Wrap(failure.ConfigInvalid, "read the database URL", err, databaseURLHint)
	}
	handle, err := sql.Open("pgx", url)
	if err != nil {
		return translate("open the database", err)
	}
	defer func() { _ = handle.Close() }()
	if err := handle.PingContext(ctx); err != nil {
		return translate("connect to the database", err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(migrationLockPeriod, migrationLockTries))
	if err != nil {
		return failure.Wrap(failure.Unknown, "prepare the migration lock", err, "")
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, handle, migrations.Files, goose.WithSessionLocker(locker))
	if err != nil {
		return failure.Wrap(failure.Unknown, "read the migrations", err, "")
	}
	return fn(handle, provider)
}

// rowQuerier is what the pool and database/sql have in common here.
type rowQuerier interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// sqlRow lets a database/sql handle be asked like a pgx one.
type sqlRow struct{ *sql.DB }

func (s sqlRow) QueryRow(ctx context.Context, query string, args ...any) pgx.Row {
	return s.QueryRowContext(ctx, query, args...)
}

// checkSchema returns nil, ErrSchemaOlder or ErrSchemaNewer.
func checkSchema(ctx context.Context, conn rowQuerier) error {
	current, err := currentVersion(ctx, conn)
	if err != nil {
		return err
	}
	switch wanted := SchemaVersion(); {
	case current < wanted:
		return failure.Wrap(failure.ConfigInvalid, "check the database's schema",
			fmt.Errorf("%w: it has schema %d, this binary needs %d", ErrSchemaOlder, current, wanted), "Run `dataguardian migrate`.")
	case current > wanted:
		return failure.Wrap(failure.ConfigInvalid, "check the database's schema",
			fmt.Errorf("%w: it has schema %d, this binary knows %d", ErrSchemaNewer, current, wanted),
			"Start the newer dataguardian binary, or restore the database from before the upgrade.")
	default:
		return nil
	}
}

// currentVersion is 0 for a database without our tables.
func currentVersion(ctx context.Context, conn rowQuerier) (int64, error) {
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('goose_db_version') IS NOT NULL").Scan(&exists); err != nil {
		return 0, translate("check the database's schema", err)
	}
	if !exists {
		return 0, nil
	}
	var version int64
	err := conn.QueryRow(ctx, "SELECT COALESCE(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&version)
	return version, translate("check the database's schema", err)
}
