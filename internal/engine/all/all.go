// Package all is the explicit list of engines: what is not here does not exist.
package all

import (
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/files"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb"
	"github.com/dataguardian/dataguardian/internal/engine/mysql"
	"github.com/dataguardian/dataguardian/internal/engine/postgres"
	"github.com/dataguardian/dataguardian/internal/engine/sqlite"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver"
)

// Options configures the engines.
type Options struct {
	// ClientTools are directories in which client tools are looked for before each engine's usual places. With
	// OnlyClientTools those are not searched.
	ClientTools     []string
	OnlyClientTools bool
}

// Engines returns the engine of every datasource type that this version serves.
func Engines(opts Options) map[domain.DatasourceType]engine.Engine {
	engines := map[domain.DatasourceType]engine.Engine{}
	for _, e := range []engine.Engine{
		postgres.New(postgres.Options{BinDirs: opts.ClientTools, OnlyBinDirs: opts.OnlyClientTools}),
		sqlite.New(sqlite.Options{}),
		mongodb.New(mongodb.Options{}),
		sqlserver.New(sqlserver.Options{}),
		files.New(files.Options{}),
		mysql.New(domain.MySQL, mysql.Options{BinDirs: opts.ClientTools, OnlyBinDirs: opts.OnlyClientTools}),
		mysql.New(domain.MariaDB, mysql.Options{BinDirs: opts.ClientTools, OnlyBinDirs: opts.OnlyClientTools}),
	} {
		engines[e.Type()] = e
	}
	return engines
}
