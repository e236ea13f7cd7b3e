package postgres_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

// dataDir is a directory that the unprivileged user can reach; t.TempDir's parent is closed to it.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dgpg-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func start(t *testing.T, opts postgres.Options) *postgres.Server {
	t.Helper()
	opts.NoSync = true
	s, err := postgres.Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *postgres.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	var value string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func TestDataSurvivesARestart(t *testing.T) {
	dir := dataDir(t)
	s := start(t, postgres.Options{DataDir: dir, Settings: map[string]string{"max_connections": "37"}})
	require.Equal(t, "37", query(t, s.URL(), "SHOW max_connections"))
	require.Equal(t, "UTF8", query(t, s.URL(), "SHOW server_encoding"))
	url, err := s.EnsureDatabase(t.Context(), "kept")
	require.NoError(t, err)
	execute(t, url, "CREATE TABLE t AS SELECT 'here' AS v")

	_, err = postgres.Start(t.Context(), postgres.Options{DataDir: dir})
	require.ErrorContains(t, err, "another process uses this directory")
	stop(t, s)

	s = start(t, postgres.Options{DataDir: dir})
	url, err = s.EnsureDatabase(t.Context(), "kept")
	require.NoError(t, err)
	require.Equal(t, "here", query(t, url, "SELECT v FROM t"))
}

func TestTheServerWantsItsPassword(t *testing.T) {
	dir := dataDir(t)
	s := start(t, postgres.Options{DataDir: dir})
	_, err := pgx.Connect(t.Context(), strings.Replace(s.URL(), s.Password(), "wrong", 1))
	require.ErrorContains(t, err, "password authentication failed")

	info, err := os.Stat(filepath.Join(dir, "password"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	commandLine, err := exec.Command("ps", "-ww", "-o", "args=", "-p", pidText(s)).Output()
	if err == nil {
		require.NotContains(t, string(commandLine), s.Password())
	}
}

func TestAServerThatWasKilledRecovers(t *testing.T) {
	dir := dataDir(t)
	s := start(t, postgres.Options{DataDir: dir})
	require.NoError(t, syscall.Kill(s.PID(), syscall.SIGKILL))
	<-s.Done()
	stop(t, s)

	s = start(t, postgres.Options{DataDir: dir})
	require.Equal(t, "1", query(t, s.URL(), "SELECT '1'"))
}

func TestAPortInUseIsToldAtOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	_, err = postgres.Start(t.Context(), postgres.Options{DataDir: dataDir(t), Port: l.Addr().(*net.TCPAddr).Port, NoSync: true})
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%v", err)
	require.Contains(t, failure.HintOf(err), "another port")
}

func TestMissingBinariesSayWhatToInstall(t *testing.T) {
	_, err := postgres.Start(t.Context(), postgres.Options{DataDir: dataDir(t), BinDir: t.TempDir()})
	require.Equal(t, failure.ToolMissing, failure.ClassOf(err), "%v", err)
	require.Contains(t, failure.HintOf(err), "apt-get install postgresql")
}

func TestAnUnreachableDirectoryIsRefusedWithAHint(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root runs Postgres as another user")
	}
	closed := filepath.Join(dataDir(t), "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	_, err := postgres.Start(t.Context(), postgres.Options{DataDir: filepath.Join(closed, "pg")})
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%v", err)
	require.False(t, errors.Is(err, context.DeadlineExceeded))
}
