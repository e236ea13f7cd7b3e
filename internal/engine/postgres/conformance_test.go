package postgres_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

func TestPostgresIsAnEngineAndAStager(t *testing.T) {
	enginetest.Run(t, enginetest.Harness{
		Engine:      newEngine(),
		WithTools:   withTools,
		Source:      newSample(t, `Sämple = 'x' "y"`),
		MinTables:   sampleTables,
		MinBytes:    200_000,
		DumpTool:    tool("pg_dump"),
		RestoreTool: tool("pg_restore"),
		WrongPassword: func(src engine.Source) engine.Source {
			src.Config.Password = "not the password"
			return src
		},
		MissingDatabase: func(src engine.Source) engine.Source { return in(src, "no such database") },
		Unreachable: func(src engine.Source) engine.Source {
			src.Config.Port = closedPort(t)
			return src
		},
		Hold:          hold("nothing"),
		FreshDatabase: fresh,
		In:            in,
		Content:       content,
		Databases:     databases,
	})
}

// closedPort is a port that nobody listens on.
func closedPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().(*net.TCPAddr).Port
}
