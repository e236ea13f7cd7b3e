package sqlserver_test

import (
	"testing"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver/tdsserver"
)

func TestSQLServerIsAnEngineAndAStager(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	enginetest.Run(t, enginetest.Harness{
		Engine:    s.engine,
		Source:    s.source(sampleName),
		MinTables: 3,
		MinBytes:  200_000,
		WrongPassword: func(src engine.Source) engine.Source {
			src.Config.Password = "not the password"
			return src
		},
		MissingDatabase: func(engine.Source) engine.Source { return s.source("no such database") },
		Unreachable: func(src engine.Source) engine.Source {
			src.Config.Port = closedPort(t)
			return src
		},
		Hold: func(*testing.T, engine.Source) func() {
			s.server.Inject(&tdsserver.Fault{Match: "BACKUP DATABASE", Block: make(chan struct{})})
			return s.server.Heal
		},
		FreshDatabase: s.fresh,
		In:            func(_ engine.Source, name string) engine.Source { return s.source(name) },
		Content:       func(_ *testing.T, src engine.Source) any { return s.server.Content(src.Config.Database) },
		Databases:     func(*testing.T) []string { return s.server.Names() },
	})
	s.requireClean()
}
