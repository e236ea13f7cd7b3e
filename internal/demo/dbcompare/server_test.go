package dbcompare_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

// running is the server of this test binary; TestMain stops it.
var running struct {
	once   sync.Once
	dir    string
	server *postgres.Server
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if running.server != nil {
		_ = running.server.Stop(context.Background())
	}
	if running.dir != "" {
		_ = os.RemoveAll(running.dir)
	}
	os.Exit(code)
}

// startServer gives the private Postgres server of this test binary. It fails, and does not skip,
// where there is none: without a server nothing here is tested.
func startServer(t *testing.T) server {
	t.Helper()
	running.once.Do(func() {
		// As root the server runs as another user, who can not enter the directories of t.TempDir.
		if running.dir, running.err = os.MkdirTemp("", "dbcompare"); running.err != nil {
			return
		}
		if running.err = os.Chmod(running.dir, 0o711); running.err != nil {
			return
		}
		running.server, running.err = postgres.Start(context.Background(),
			postgres.Options{DataDir: running.dir + "/postgres", NoSync: true})
	})
	require.NoError(t, running.err)
	config, err := pgx.ParseConfig(running.server.URL())
	require.NoError(t, err)
	return server{config}
}
