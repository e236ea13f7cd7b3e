// Package temporalserver runs a Temporal server and its web UI inside this process, on 127.0.0.1
// and a SQLite file, the way the Temporal CLI's development server does. It is for one machine:
// `up`, the demo and the tests. A production cluster is somebody else's process.
package temporalserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/server/temporal"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/temporalclient"
)

// NoUI as Options.UIPort starts the server without its web interface.
const NoUI = -1

// DefaultNamespace is the namespace that DataGuardian uses unless told otherwise.
const DefaultNamespace = "dataguardian"

// startTimeout is how long a start may take before it is given up.
const startTimeout = time.Minute

// Options say where the state is and which ports to use.
type Options struct {
	DataDir      string        // holds temporal.db; made if missing; unused with InMemory
	InMemory     bool          // forget everything at Stop
	FrontendPort int           // 0 is a free port
	UIPort       int           // 0 is a free port, NoUI is none
	Namespace    string        // "" is DefaultNamespace
	Retention    time.Duration // of closed workflows; 0 is temporalclient.DefaultRetention
	Logger       *slog.Logger  // nil is silent
}

// Server is a running Temporal server.
type Server struct {
	server  temporal.Server
	ui      *webUI
	address string
	failed  chan error

	stopping atomic.Bool
	stopOnce sync.Once
	stopped  chan struct{}
}

// Start starts the server and returns once it answers health checks and the namespace, with our
// search attributes, is usable. A FrontendPort or UIPort that is taken is an error.
func Start(ctx context.Context, opts Options) (*Server, error) {
	const op = "start the embedded Temporal server"
	opts.setDefaults()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	port, err := portOrFree(opts.FrontendPort)
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, op, err, "Choose another port for the Temporal frontend (--temporal-port), or start again.")
	}
	conf, err := serverConfig(opts, port)
	if err != nil {
		return nil, failure.Wrap(failure.Unknown, op, err, "")
	}
	s := &Server{address: fmt.Sprintf("%s:%d", localhost, port), failed: make(chan error, 1), stopped: make(chan struct{})}
	serverOpts, err := serverOptions(conf, serverLogger{slog: opts.Logger, stopping: &s.stopping, failed: s.failed})
	if err != nil {
		return nil, failure.Wrap(failure.Unknown, op, err, "")
	}
	if s.server, err = launch(serverOpts, s.failed); err != nil {
		return nil, failure.Wrap(failure.Unknown, op, err, "")
	}
	if err := s.becomeReady(ctx, opts); err != nil {
		s.Stop(context.WithoutCancel(ctx))
		return nil, failure.Wrap(failure.Unknown, op, err, "")
	}
	return s, nil
}

func (o *Options) setDefaults() {
	if o.Namespace == "" {
		o.Namespace = DefaultNamespace
	}
	if o.Retention == 0 {
		o.Retention = temporalclient.DefaultRetention
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Logger = o.Logger.With("component", "temporal-server")
}

// launch builds and starts the server in a goroutine of its own, because a fatal error of the
// server ends the goroutine it happens in (see serverLogger.Fatal).
func launch(opts []temporal.ServerOption, failed <-chan error) (temporal.Server, error) {
	type result struct {
		server temporal.Server
		err    error
	}
	done := make(chan result, 1)
	go func() {
		outcome := result{err: errors.New("the server gave up")}
		defer func() { done <- outcome }()
		server, err := temporal.NewServer(opts...)
		if err == nil {
			err = server.Start()
		}
		outcome = result{server: server, err: err}
	}()
	outcome := <-done
	if outcome.err == nil {
		return outcome.server, nil
	}
	select {
	case fatal := <-failed: // says what the general error only summarises
		return nil, fatal
	default:
		return nil, outcome.err
	}
}

// becomeReady waits for the frontend, sets the namespace up and starts the UI.
func (s *Server) becomeReady(ctx context.Context, opts Options) error {
	quiet := sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)) // it fails until the server is there
	c, err := client.NewLazyClient(client.Options{HostPort: s.address, Namespace: opts.Namespace, Logger: quiet})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	defer c.Close()
	healthy := func() error {
		select {
		case fatal := <-s.failed:
			return backoff.Permanent(fatal)
		default:
			_, err := c.CheckHealth(ctx, &client.CheckHealthRequest{})
			return err
		}
	}
	wait := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(10*time.Millisecond), backoff.WithMaxInterval(250*time.Millisecond), backoff.WithMaxElapsedTime(startTimeout))
	if err := backoff.Retry(healthy, backoff.WithContext(wait, ctx)); err != nil {
		return fmt.Errorf("wait for the frontend at %s: %w", s.address, err)
	}
	err = temporalclient.EnsureNamespace(ctx, c, temporalclient.Namespace{
		Name: opts.Namespace, Retention: opts.Retention, Owned: true, Logger: opts.Logger,
	})
	if err != nil || opts.UIPort == NoUI {
		return err
	}
	s.ui, err = startUI(opts.UIPort, s.address, opts.Namespace)
	return err
}

// Address is host:port of the frontend.
func (s *Server) Address() string { return s.address }

// UIURL is the address of the web UI, "" without one.
func (s *Server) UIURL() string {
	if s.ui == nil {
		return ""
	}
	return s.ui.url()
}

// Failed receives an error if the running server can not go on; its owner should shut down.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop may be called more than once. It ends the UI and the server's services, and waits for them as long as ctx allows. State that
// was acknowledged is in the file already, so leaving early loses nothing.
func (s *Server) Stop(ctx context.Context) {
	s.stopping.Store(true)
	if s.ui != nil {
		s.ui.stop(ctx)
	}
	s.stopOnce.Do(func() {
		go func() {
			defer close(s.stopped)
			_ = s.server.Stop()
		}()
	})
	select {
	case <-s.stopped:
	case <-ctx.Done():
	}
}
