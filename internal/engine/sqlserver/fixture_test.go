package sqlserver_test

import (
	"context"
	"crypto/sha512"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver/tdsserver"
)

// sampleName has what has to be quoted.
const sampleName = "Säm]ple 'x'"

// site is a server, the directory that it shares with the worker, and the engine.
type site struct {
	*testing.T
	server *tdsserver.Server
	dir    string
	engine *sqlserver.Engine
}

func newSite(t *testing.T, options tdsserver.Options) *site {
	t.Helper()
	s := &site{T: t, server: tdsserver.Start(t, options), dir: t.TempDir(), engine: sqlserver.New(sqlserver.Options{ShareDelay: 300 * time.Millisecond})}
	s.server.Create(sampleName, sampleTables())
	return s
}

// sampleTables are three tables, one of which has most of the bytes.
func sampleTables() map[string][]string {
	tables := map[string][]string{"empty": {}, "customers": {"1 Zoë", "2 O'Brien", "3 NULL"}}
	for i := range 5000 {
		tables["orders"] = append(tables["orders"], fmt.Sprintf("%d of %x", i, sha512.Sum512([]byte{byte(i), byte(i >> 8)})))
	}
	return tables
}

func (s *site) source(database string) engine.Source {
	return engine.Source{Name: "shop", Type: domain.SQLServer, Config: domain.ConnectionConfig{
		Host: "127.0.0.1", Port: s.server.Port(), Database: database, Username: tdsserver.Login, Password: tdsserver.Password,
		SSLMode: domain.SSLDisable, BackupDirectory: s.dir, WorkerDirectory: s.dir,
	}}
}

// requireClean checks that nothing is left in the shared directory.
func (s *site) requireClean() {
	s.Helper()
	entries, err := os.ReadDir(s.dir)
	require.NoError(s, err)
	require.Empty(s, entries)
}

// fresh is the name of a database that is not there.
func (s *site) fresh(*testing.T) string {
	for i := 1; ; i++ {
		if name := fmt.Sprintf("fresh %d", i); !slices.Contains(s.server.Names(), name) {
			return name
		}
	}
}

func closedPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().(*net.TCPAddr).Port
}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(enginetest.Context(t), d)
}
