package standalone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

// APIURL is the base address of the REST API, without a slash at its end.
func (s *Stack) APIURL() string {
	host, port, _ := net.SplitHostPort(s.http.Address()) // an address of a listener always splits
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http://"
	if s.cfg.TLSCert != "" {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, port)
}

// TemporalUIURL is the address of the Temporal web UI, "" if it is not known.
func (s *Stack) TemporalUIURL() string { return s.cfg.Temporal.UIURL }

// Postgres is the private server, nil where DATABASE_URL was given.
func (s *Stack) Postgres() *postgres.Server { return s.postgres }

// Wait returns nil when ctx ends, and an error when a part of the stack ended by itself.
func (s *Stack) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// Stop stops the parts in the reverse order of their start, which is API, worker, Temporal,
// Postgres. It may be called once.
func (s *Stack) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	for i := len(s.stops) - 1; i >= 0; i-- {
		s.stops[i](ctx)
	}
	s.stops = nil
	close(s.stopped)
}

// WriteBanner tells where everything is and, while nobody owns the installation, how to change that.
func (s *Stack) WriteBanner(ctx context.Context, w io.Writer) error {
	owned, err := s.db.HasOwner(ctx)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nDataGuardian %s is ready.\n\n", s.version)
	fmt.Fprintf(&b, "  API reference  %s/api/docs\n", s.APIURL())
	if ui := s.TemporalUIURL(); ui != "" {
		fmt.Fprintf(&b, "  Temporal UI    %s/namespaces/%s/workflows\n", strings.TrimRight(ui, "/"), s.cfg.Temporal.Namespace)
	}
	fmt.Fprintf(&b, "  Data           %s\n", s.cfg.DataDir)
	for _, note := range s.notes {
		fmt.Fprintf(&b, "  Note           %s\n", note)
	}
	if !owned {
		fmt.Fprintf(&b, "\nCreate the owner, with an address and a password of your own:\n\n"+
			"  curl -fsS %s/api/auth/setup -H 'Content-Type: application/json' \\\n"+
			"    -d '{\"email\":\"owner@example.com\",\"name\":\"Owner\",\"password\":\"correct-horse-battery\"}'\n", s.APIURL())
	}
	fmt.Fprintf(&b, "\nCtrl-C stops it.\n\n")
	_, err = io.WriteString(w, b.String())
	return err
}

func (s *Stack) onStop(stop func(context.Context)) { s.stops = append(s.stops, stop) }

func (s *Stack) note(text string) {
	if text == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, text)
}

// watch reports the end of a part, told by a closed channel or an error, as the stack's failure.
// Only the first report counts.
func (s *Stack) watch(part string, done <-chan struct{}, failed <-chan error) {
	go func() {
		var err error
		select {
		case <-done:
			err = errors.New("it ended")
		case err = <-failed:
		case <-s.stopped:
			return
		}
		select {
		case s.failed <- fmt.Errorf("%s stopped working: %w", part, err):
		default:
		}
	}()
}
