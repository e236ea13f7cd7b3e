package postgres_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

func TestPostgresIsAnEngineAndAStager(t *testing.T) {
	enginetest.Run(t, harness(t, newSample(t, `Sämple = 'x' "y"`)))
}

func TestPostgresIsAnEngineAndAStagerWithSeveralJobs(t *testing.T) {
	ownTemp(t)
	h := harness(t, newLarge(t, `Lärge = 'x' "y"`))
	h.Options.Jobs = 3
	// What a dump of its own left, without one of the files that its table of contents names.
	h.HalfDump = fmt.Sprintf(`for a in "$@"; do case "$a" in --file=*) dir=${a#--file=};; esac; done
%s "$@" --file="$dir.whole" && rm "$(ls "$dir.whole"/[0-9]*.dat | head -1)" && cp "$dir.whole"/* "$dir"`, tool("pg_dump"))
	enginetest.Run(t, h)
}

// harness is the engine with a database of the test server.
func harness(t *testing.T, src engine.Source) enginetest.Harness {
	t.Helper()
	return enginetest.Harness{
		Engine:      newEngine(),
		WithTools:   withTools,
		Source:      src,
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
	}
}

// closedPort is a port that nobody listens on.
func closedPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().(*net.TCPAddr).Port
}
