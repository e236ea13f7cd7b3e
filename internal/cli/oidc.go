package cli

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/dataguardian/dataguardian/internal/client"
)

// browserTimeout is how long a person may take to sign in at the provider.
const browserTimeout = 5 * time.Minute

// outcome is what the browser brought back.
type outcome struct{ code, refusal string }

// signInByBrowser signs in through the provider: the person's browser brings a code to a port that this process listens
// on, and the code with a secret that never left it is exchanged for the session.
func (s *session) signInByBrowser(ctx context.Context) (client.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, browserTimeout)
	defer cancel()
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return client.Session{}, fmt.Errorf("listen for the browser: %w", err)
	}
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return client.Session{}, fmt.Errorf("make a secret: %w", err)
	}
	verifier := base64.RawURLEncoding.EncodeToString(random)
	challenge := sha256.Sum256([]byte(verifier))
	state := rand.Text()
	brought := make(chan outcome, 1)
	server := &http.Server{Handler: callback(state, brought), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer func() { _ = server.Close() }()

	s.cmd.PrintErrf("Open this address in a browser on this machine:\n%s\n",
		s.OIDCLoginURL("http://"+listener.Addr().String()+"/callback", base64.RawURLEncoding.EncodeToString(challenge[:]), state))
	select {
	case got := <-brought:
		stopping, stop := context.WithTimeout(ctx, time.Second) // the browser still reads the page, also that it is refused
		defer stop()
		_ = server.Shutdown(stopping)
		if got.refusal != "" {
			return client.Session{}, Error{errors.New(clean(got.refusal)), exitForbidden}
		}
		return s.OIDCToken(ctx, got.code, verifier)
	case <-ctx.Done():
		return client.Session{}, failed("nobody signed in within %s", browserTimeout)
	}
}

// callback takes the first answer that belongs to this sign-in.
func callback(state string, brought chan<- outcome) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(state)) != 1 || (query.Get("code") == "") == (query.Get("error") == "") {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintln(w, "This is not the answer that is waited for.")
			return
		}
		text := "You are signed in. Go back to the command line; this page can be closed."
		if query.Get("error") != "" {
			text = "You are not signed in. The command line says why; this page can be closed."
		}
		_, _ = fmt.Fprintln(w, text)
		select {
		case brought <- outcome{query.Get("code"), query.Get("error")}:
		default: // it has one already
		}
	})
	return mux
}
