// Package process is what the processes `api`, `worker` and `up` have in common: how they log, open
// the catalogue, reach Temporal and serve HTTP.
package process

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/temporalclient"
)

// WorkerMemoryLimit is the soft limit of the Go heap in a process that only runs activities, so
// that its resident size stays under 256 MiB.
const WorkerMemoryLimit = 200 << 20

// NewLogger logs to w as the configuration says.
func NewLogger(w io.Writer, c config.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// workerGarbage is how much garbage there may be in a worker, in percent of what is live. What takes memory in one is the entries of a tree
// while it is backed up; everything big is outside of the Go heap.
const workerGarbage = 50

// LimitMemory makes the garbage collector work harder, most of all from WorkerMemoryLimit on, unless the operator said
// otherwise with GOGC and GOMEMLIMIT.
func LimitMemory(c config.Worker) {
	if c.GoGC == "" {
		debug.SetGCPercent(workerGarbage)
	}
	if c.GoMemLimit == "" {
		debug.SetMemoryLimit(WorkerMemoryLimit)
	}
}

// MasterKey reads the master key that the configuration gives or points to.
func MasterKey(c config.MasterKey) (db.MasterKey, error) {
	if c.File == "" {
		key, err := db.ParseMasterKey(c.Value.Reveal())
		return key, failure.Wrap(failure.ConfigInvalid, "read DATAGUARDIAN_MASTER_KEY", err, "")
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return db.MasterKey{}, failure.Wrap(failure.ConfigInvalid, "read DATAGUARDIAN_MASTER_KEY_FILE", err,
			"Point it to the file with the key that was made when DataGuardian was set up.")
	}
	key, err := db.ParseMasterKey(string(text))
	return key, failure.Wrap(failure.ConfigInvalid, "read the master key in "+c.File, err, "")
}

// OpenDatabase opens the catalogue under key. A wrong key and a schema that is not this program's
// are errors.
func OpenDatabase(ctx context.Context, c config.Database, key db.MasterKey) (*db.DB, error) {
	return db.Open(ctx, db.Config{URL: c.URL.Reveal(), MasterKey: key, MaxConns: c.MaxConns})
}

// connectTimeout is how long a process waits for Temporal at its start.
const connectTimeout = time.Minute

// DialTemporal connects to the service at c.Address and makes sure that its namespace is set up.
func DialTemporal(ctx context.Context, c config.Temporal, logger *slog.Logger) (client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := temporalclient.Dial(ctx, temporalclient.Options{
		Address: c.Address, Namespace: c.Namespace, APIKey: c.APIKey.Reveal(), Logger: logger,
		TLS: temporalclient.TLS{CertFile: c.TLSCert, KeyFile: c.TLSKey, CAFile: c.TLSCA, ServerName: c.TLSServerName},
	})
	if err != nil {
		return nil, err
	}
	namespace := temporalclient.Namespace{Name: c.Namespace, Retention: c.Retention, Logger: logger}
	if err := temporalclient.EnsureNamespace(ctx, conn, namespace); err != nil {
		conn.Close()
		return nil, fmt.Errorf("at %s: %w", c.Address, err)
	}
	return conn, nil
}
