package process

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// drainTime is how long requests may go on after a stop began; then the contexts of those still
// running end, which is how event streams learn of it.
const drainTime = 2 * time.Second

// headerTime is how long the headers of a request may take to arrive.
var headerTime = 10 * time.Second

// HTTPServer serves one handler on one listener.
type HTTPServer struct {
	server     *http.Server
	address    string
	endStreams context.CancelFunc
	failed     chan error
}

// ServeHTTP serves handler until Stop. Headers must arrive in time. There is no other limit here, because events
// are streamed for as long as a backup takes: the API bounds how long it waits for a body, works on an answer, and waits
// for it to be taken.
func ServeHTTP(listener net.Listener, handler http.Handler, logger *slog.Logger) *HTTPServer {
	base, cancel := context.WithCancel(context.Background())
	s := &HTTPServer{
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: headerTime,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    64 << 10,
			BaseContext:       func(net.Listener) context.Context { return base },
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
		address:    listener.Addr().String(),
		endStreams: cancel,
		failed:     make(chan error, 1),
	}
	go func() {
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
	return s
}

// Address is host:port it listens on.
func (s *HTTPServer) Address() string { return s.address }

// Failed receives the error of a server that can not go on.
func (s *HTTPServer) Failed() <-chan error { return s.failed }

// Stop takes no more requests, lets those under way finish, ends event streams, and closes what is
// left when ctx ends.
func (s *HTTPServer) Stop(ctx context.Context) {
	defer s.endStreams()
	timer := time.AfterFunc(drainTime, s.endStreams)
	defer timer.Stop()
	if err := s.server.Shutdown(ctx); err != nil {
		_ = s.server.Close()
	}
}
