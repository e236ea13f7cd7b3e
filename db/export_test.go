package db

import (
	"context"
	"database/sql"
	"time"

	"github.com/pressly/goose/v3"
)

// MigrateDown takes every migration back.
func MigrateDown(ctx context.Context, url string) error {
	return withMigrations(ctx, url, func(_ *sql.DB, provider *goose.Provider) error {
		_, err := provider.DownTo(ctx, 0)
		return err
	})
}

// KillListener ends the connections that listen, as a restart of the server would.
func (d *DB) KillListener(ctx context.Context) error {
	_, err := d.pool.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN%'`)
	return err
}

// SetDraftLife changes how long a sealed draft can be opened, until the function that it returns is
// called.
func SetDraftLife(life time.Duration) func() {
	before := draftLife
	draftLife = life
	return func() { draftLife = before }
}
