// Package standalone runs all of DataGuardian in this process: API, worker, Temporal with its web
// UI, and a private Postgres, with all state in one directory. `up` and the demo use it; production
// runs the same parts as processes of their own.
package standalone

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/api"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/process"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
	"github.com/dataguardian/dataguardian/internal/standalone/temporalserver"
	"github.com/dataguardian/dataguardian/worker"
)

// catalogueDatabase is the database in the private Postgres that keeps our tables.
const catalogueDatabase = "dataguardian"

// stopTimeout bounds the stop of everything; each part has what the parts before it left.
const stopTimeout = 40 * time.Second

// Stack is the running whole.
type Stack struct {
	cfg     *config.Config
	version string
	logger  *slog.Logger

	postgres *postgres.Server       // nil with DATABASE_URL
	server   *temporalserver.Server // nil with TEMPORAL_ADDRESS
	temporal client.Client
	db       *db.DB
	http     *process.HTTPServer

	mu      sync.Mutex // guards notes: parts start side by side
	notes   []string   // what the operator should know, for the banner
	failed  chan error // the first part that ended by itself
	stops   []func(context.Context)
	stopped chan struct{}
}

// Start starts everything and returns when it serves. On an error what was started is stopped again.
func Start(ctx context.Context, cfg *config.Config, version string, logger *slog.Logger) (_ *Stack, err error) {
	own := *cfg // what is started here is filled in
	s := &Stack{cfg: &own, version: version, logger: logger, failed: make(chan error, 1), stopped: make(chan struct{})}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	unlock, err := lockDataDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	s.onStop(func(context.Context) { unlock() })
	listener, err := s.listen()
	if err != nil {
		return nil, err
	}
	s.onStop(func(context.Context) { _ = listener.Close() }) // the HTTP server has closed it before, if it came so far
	key, err := s.masterKey()
	if err != nil {
		return nil, err
	}
	if err := s.startServers(ctx); err != nil {
		return nil, err
	}
	if err := s.openDatabase(ctx, key); err != nil {
		return nil, err
	}
	if err := s.connectTemporal(ctx); err != nil {
		return nil, err
	}
	if err := s.startWorker(); err != nil {
		return nil, err
	}
	return s, s.startAPI(listener)
}

// listen opens the API's port first: it is the one that an operator most often finds taken.
func (s *Stack) listen() (net.Listener, error) {
	host, text, err := net.SplitHostPort(s.cfg.Listen)
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, "read the API's address", err, "Give host:port with --listen.")
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, "read the API's address", err, "Give host:port with --listen.")
	}
	listener, note, err := wish{what: "API", flag: "--listen", host: host, port: port, chosen: s.cfg.Chosen("DATAGUARDIAN_LISTEN")}.listen()
	s.note(note)
	return listener, err
}

// masterKey reads the configured key, or the data directory's own, made the first time. A
// directory that has a catalogue but lost its key, or is in the middle of a change, is refused.
func (s *Stack) masterKey() (db.MasterKey, error) {
	if s.cfg.MasterKey.Value != "" || s.cfg.MasterKey.File != "" {
		return process.MasterKey(s.cfg.MasterKey)
	}
	path := s.cfg.MasterKeyFile()
	if rekeyPending(path) {
		return db.MasterKey{}, failure.New(failure.ConfigInvalid, "read the master key",
			"a change of the key was begun and not finished ("+path+".new is there)", "Run dataguardian rekey once more.")
	}
	if _, err := os.Stat(s.postgresDir()); err == nil {
		if err := requireKeyFile(path); err != nil {
			return db.MasterKey{}, err
		}
	}
	return db.LoadOrCreateKeyFile(path)
}

func (s *Stack) postgresDir() string { return filepath.Join(s.cfg.DataDir, "postgres") }

// startServers starts Postgres and Temporal side by side, and plans their stop: Temporal first.
func (s *Stack) startServers(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.startPostgres(ctx) })
	group.Go(func() error { return s.startTemporal(ctx) })
	err := group.Wait()
	if s.postgres != nil {
		s.onStop(func(ctx context.Context) {
			if err := s.postgres.Stop(ctx); err != nil {
				s.logger.Warn("the private Postgres did not stop in time", "error", err)
			}
		})
		s.watch("the private Postgres", s.postgres.Done(), nil)
	}
	if s.server != nil {
		s.onStop(s.server.Stop)
		s.watch("the embedded Temporal server", nil, s.server.Failed())
	}
	return err
}

func (s *Stack) startPostgres(ctx context.Context) error {
	if s.cfg.Database.URL != "" {
		return nil
	}
	server, err := postgres.Start(ctx, postgres.Options{DataDir: s.postgresDir()})
	if err != nil {
		return err
	}
	s.postgres = server
	url, err := server.EnsureDatabase(ctx, catalogueDatabase)
	if err != nil {
		return err
	}
	s.cfg.Database.URL = config.Secret(url)
	return publishCatalogue(s.cfg.DataDir, url)
}

func (s *Stack) startTemporal(ctx context.Context) error {
	if s.cfg.Temporal.Address != "" {
		return nil
	}
	frontend, note, err := wish{"Temporal frontend", "--temporal-port", "127.0.0.1", s.cfg.Temporal.FrontendPort,
		s.cfg.Chosen("DATAGUARDIAN_TEMPORAL_PORT")}.find()
	if err != nil {
		return err
	}
	s.note(note)
	ui, note, err := wish{"Temporal UI", "--temporal-ui-port", "127.0.0.1", s.cfg.Temporal.UIPort,
		s.cfg.Chosen("DATAGUARDIAN_TEMPORAL_UI_PORT")}.find()
	if err != nil {
		return err
	}
	s.note(note)
	server, err := temporalserver.Start(ctx, temporalserver.Options{
		DataDir: filepath.Join(s.cfg.DataDir, "temporal"), FrontendPort: frontend, UIPort: ui,
		Namespace: s.cfg.Temporal.Namespace, Retention: s.cfg.Temporal.Retention, Logger: s.logger,
	})
	if err != nil {
		return err
	}
	s.server = server
	s.cfg.Temporal.Address = server.Address()
	if s.cfg.Temporal.UIURL == "" {
		s.cfg.Temporal.UIURL = server.UIURL()
	}
	return nil
}

func (s *Stack) openDatabase(ctx context.Context, key db.MasterKey) error {
	if err := db.Migrate(ctx, s.cfg.Database.URL.Reveal()); err != nil {
		return err
	}
	var err error
	if s.db, err = process.OpenDatabase(ctx, s.cfg.Database, key); err != nil {
		return err
	}
	s.onStop(func(context.Context) { s.db.Close() })
	return nil
}

func (s *Stack) connectTemporal(ctx context.Context) error {
	var err error
	if s.temporal, err = process.DialTemporal(ctx, s.cfg.Temporal, s.logger); err != nil {
		return err
	}
	s.onStop(func(context.Context) { s.temporal.Close() })
	return nil
}

func (s *Stack) startWorker() error {
	w, err := worker.New(worker.Options{
		DB: s.db, Temporal: s.temporal, Pools: s.cfg.Worker.Pools, ClientToolsPath: s.cfg.Worker.ClientToolsPath, HookCommands: s.cfg.Worker.HookCommands, Slots: s.cfg.Worker.Slots,
		TemporalUIURL: s.cfg.Temporal.UIURL, Namespace: s.cfg.Temporal.Namespace, Logger: s.logger.With("component", "worker"),
		DataListen: s.cfg.Worker.DataListen, DataURL: s.cfg.Worker.DataURL,
	})
	if err != nil {
		return fmt.Errorf("start the worker: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := w.Run(ctx); err != nil {
			ended <- err
		}
	}()
	s.watch("the worker", nil, ended)
	s.onStop(func(patience context.Context) {
		cancel()
		select {
		case <-stopped:
		case <-patience.Done():
		}
	})
	return nil
}

func (s *Stack) startAPI(listener net.Listener) error {
	provider, err := process.OIDC(s.cfg.OIDC)
	if err != nil {
		return err
	}
	handler, err := api.New(api.Options{
		DB: s.db, Temporal: s.temporal, Namespace: s.cfg.Temporal.Namespace, TemporalUIURL: s.cfg.Temporal.UIURL,
		Version: s.version, Logger: s.logger.With("component", "api"), TrustedProxies: s.cfg.TrustedProxies, CORSOrigins: s.cfg.CORSOrigins, OIDC: provider,
	})
	if err != nil {
		return fmt.Errorf("start the API: %w", err)
	}
	if listener, err = process.ListenTLS(listener, s.cfg.TLSCert, s.cfg.TLSKey, s.logger.With("component", "api")); err != nil {
		return err
	}
	stop := process.StartReconciling(context.Background(), s.db, s.temporal, s.logger.With("component", "reconcile"))
	s.onStop(func(context.Context) { stop() })
	s.http = process.ServeHTTP(listener, handler, s.logger)
	s.onStop(s.http.Stop)
	s.watch("the API", nil, s.http.Failed())
	return nil
}
