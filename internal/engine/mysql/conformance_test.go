package mysql_test

import (
	"testing"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

func TestMariaDBIsAnEngineAndAStager(t *testing.T) {
	enginetest.Run(t, harness(t, newSample(t, "Sämple = x`-%_ y")))
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
		DumpTool:    "/usr/bin/mariadb-dump",
		RestoreTool: "/usr/bin/mariadb",
		WrongPassword: func(src engine.Source) engine.Source {
			src.Config.Password = "not the password"
			return src
		},
		MissingDatabase: func(src engine.Source) engine.Source { return in(src, "no such database") },
		Unreachable: func(src engine.Source) engine.Source {
			src.Config.Port = closedPort(t)
			return src
		},
		Hold:          hold("no_rows"),
		FreshDatabase: fresh,
		In:            in,
		Content:       content,
		Databases:     databases,
	}
}
