package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// The names of what the demo makes on the Postgres server. The role owns both databases, and the
// demo drops no database of another owner.
const (
	sampleRole       = "dataguardian_demo"
	sampleDatabase   = "dataguardian_demo"
	restoredDatabase = sampleDatabase + "_restored"
)

//go:embed sample.sql
var sampleSQL string

// sampleProbes are asked of both databases: the view and the function must not only be there, they
// must answer the same.
var sampleProbes = []string{
	`SELECT * FROM shop.best_sellers ORDER BY sold DESC, id LIMIT 100`,
	`SELECT n, shop.revenue(n) FROM pg_catalog.generate_series(1, 60, 12) AS n`,
}

// sample is the sample database and how to get at it.
type sample struct {
	admin    *pgx.ConnConfig
	password string // of sampleRole
}

func newSample(adminURL, password string) (*sample, error) {
	config, err := pgx.ParseConfig(adminURL)
	if err != nil {
		return nil, fmt.Errorf("demo: the URL of the Postgres server for the sample database: %w", err)
	}
	return &sample{admin: config, password: password}, nil
}

// connectionConfig is how the product reaches the sample database: as its owner, no superuser.
func (s *sample) connectionConfig() domain.ConnectionConfig {
	return domain.ConnectionConfig{
		Host: s.admin.Host, Port: int(s.admin.Port), Database: sampleDatabase,
		Username: sampleRole, Password: s.password, SSLMode: domain.SSLDisable,
	}
}

// connect opens database as the superuser, or as the role that owns it.
func (s *sample) connect(ctx context.Context, database string, asOwner bool) (*pgx.Conn, error) {
	config := s.admin.Copy()
	config.Database = database
	if asOwner {
		config.User, config.Password = sampleRole, s.password
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("demo: connect to the sample database: %w", err)
	}
	return conn, nil
}

// create makes the sample database of about sizeMB (10^6 bytes, as the server counts them) afresh
// and returns its true size in bytes. What an earlier demo left is dropped first.
func (s *sample) create(ctx context.Context, sizeMB int) (int64, error) {
	if err := s.prepare(ctx); err != nil {
		return 0, err
	}
	conn, err := s.connect(ctx, sampleDatabase, true)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for name, count := range rowCounts(sizeMB) {
		if _, err := conn.Exec(ctx, "SELECT set_config($1, $2, false)", "sample."+name, strconv.Itoa(count)); err != nil {
			return 0, fmt.Errorf("demo: prepare the sample database: %w", err)
		}
	}
	// The simple protocol takes the whole file at once.
	if _, err := conn.PgConn().Exec(ctx, sampleSQL).ReadAll(); err != nil {
		return 0, fmt.Errorf("demo: fill the sample database: %w", err)
	}
	if _, err := conn.Exec(ctx, "ANALYZE"); err != nil {
		return 0, fmt.Errorf("demo: analyse the sample database: %w", err)
	}
	var size int64
	if err := conn.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan(&size); err != nil {
		return 0, fmt.Errorf("demo: measure the sample database: %w", err)
	}
	return size, nil
}

// rowCounts is how many rows make about sizeMB: measured at 200 MB, of which an empty database is 8.
func rowCounts(sizeMB int) map[string]int {
	scaled := func(rows int) int { return max(rows*max(sizeMB-8, 1)/192, 60) }
	return map[string]int{
		"customers": scaled(19_000), "products": scaled(3_800), "orders": scaled(163_000),
		"pictures": scaled(1_340), "events": scaled(211_000),
	}
}

// prepare makes the role and the empty database.
func (s *sample) prepare(ctx context.Context) error {
	conn, err := s.connect(ctx, s.admin.Database, false)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()

	for _, database := range []string{sampleDatabase, restoredDatabase} {
		if err := dropOurs(ctx, conn, database); err != nil {
			return err
		}
	}
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", sampleRole).Scan(&exists); err != nil {
		return fmt.Errorf("demo: look for the role %s: %w", sampleRole, err)
	}
	verb := "CREATE"
	if exists {
		verb = "ALTER"
	}
	password, err := conn.PgConn().EscapeString(s.password)
	if err != nil {
		return fmt.Errorf("demo: quote the password of role %s: %w", sampleRole, err)
	}
	for _, statement := range []string{
		// Restoring into a new database takes the right to create one; no more is given.
		fmt.Sprintf("%s ROLE %s LOGIN CREATEDB NOSUPERUSER PASSWORD '%s'", verb, sampleRole, password),
		fmt.Sprintf("CREATE DATABASE %s OWNER %s TEMPLATE template0 ENCODING 'UTF8'", sampleDatabase, sampleRole),
	} {
		if _, err := conn.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
			return fmt.Errorf("demo: make the sample database %s: %w", sampleDatabase, withoutStatement(err))
		}
	}
	return nil
}

// dropOurs drops what an earlier demo made, and refuses to touch a database of somebody else.
func dropOurs(ctx context.Context, conn *pgx.Conn, database string) error {
	var owner string
	err := conn.QueryRow(ctx, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = $1", database).Scan(&owner)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("demo: look for the database %s: %w", database, err)
	case owner != sampleRole:
		return fmt.Errorf("demo: the database %s exists and belongs to %q, not to the demo; rename it, or point the demo at another server", database, owner)
	}
	if _, err := conn.Exec(ctx, "DROP DATABASE "+pgx.Identifier{database}.Sanitize()+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("demo: drop the database %s of the last demo: %w", database, err)
	}
	return nil
}

// withoutStatement keeps only the server's message: a statement that set a password must not show.
func withoutStatement(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return fmt.Errorf("%s (SQLSTATE %s)", refused.Message, refused.Code)
	}
	return err
}

// String is the server without credentials, for messages.
func (s *sample) String() string {
	return (&url.URL{Scheme: "postgres", Host: fmt.Sprintf("%s:%d", s.admin.Host, s.admin.Port)}).String()
}
