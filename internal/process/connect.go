package process

import (
	"context"
	"io"
	"log/slog"

	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/config"
)

// Services are what the processes `api` and `worker` work with.
type Services struct {
	Logger   *slog.Logger
	DB       *db.DB
	Temporal client.Client
}

// Connect opens what the configuration names, and logs to w. With migrate, the database is brought
// to this program's schema first. Close the services after use.
func Connect(ctx context.Context, cfg *config.Config, w io.Writer, migrate bool) (*Services, error) {
	s := &Services{Logger: NewLogger(w, cfg.Log)}
	key, err := MasterKey(cfg.MasterKey)
	if err != nil {
		return nil, err
	}
	if migrate {
		if err := db.Migrate(ctx, cfg.Database.URL.Reveal()); err != nil {
			return nil, err
		}
	}
	if s.DB, err = OpenDatabase(ctx, cfg.Database, key); err != nil {
		return nil, err
	}
	if s.Temporal, err = DialTemporal(ctx, cfg.Temporal, s.Logger); err != nil {
		s.DB.Close()
		return nil, err
	}
	return s, nil
}

// Close ends the connections.
func (s *Services) Close() {
	s.Temporal.Close()
	s.DB.Close()
}
