package notifytest

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Request is one that a server got.
type Request struct {
	Method, Path string
	Header       http.Header
	Body         []byte
}

// HTTPServer records what it gets and answers as it is told.
type HTTPServer struct {
	*httptest.Server
	mu       sync.Mutex
	requests []Request
	answer   http.HandlerFunc
}

// HTTP starts a server that answers with answer, which can be changed later.
func HTTP(t testing.TB, answer http.HandlerFunc) *HTTPServer {
	t.Helper()
	s := unstarted(answer)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// HTTPS is HTTP with a certificate that nobody trusts.
func HTTPS(t testing.TB, answer http.HandlerFunc) *HTTPServer {
	t.Helper()
	s := unstarted(answer)
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func unstarted(answer http.HandlerFunc) *HTTPServer {
	s := &HTTPServer{answer: answer}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what came of it is what the test looks at
		s.mu.Lock()
		s.requests = append(s.requests, Request{r.Method, r.URL.Path, r.Header.Clone(), body})
		answer := s.answer
		s.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, r)
	}))
	return s
}

// Answer changes what it answers.
func (s *HTTPServer) Answer(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Received is every request so far.
func (s *HTTPServer) Received() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Forget empties what Received tells.
func (s *HTTPServer) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// CA is the PEM of the certificate of HTTPS.
func (s *HTTPServer) CA() string { return pemOf(s.Certificate()) }

func pemOf(certificate *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
}

// Say answers with a status and a text.
func Say(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// Later answers 429 with Retry-After.
func Later(seconds string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", seconds)
		w.WriteHeader(http.StatusTooManyRequests)
	}
}

// Trickle answers 200 and then sends a byte now and then, until the client goes away.
func Trickle(every time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-r.Context().Done():
				return
			case <-ticker.C:
				_, _ = w.Write([]byte("."))
				if flusher, ok := w.(http.Flusher); ok {
					flusher.Flush()
				}
			}
		}
	}
}

// TrickleHeaders sends a byte of its headers now and then, and never all of them.
func TrickleHeaders(w http.ResponseWriter, _ *http.Request) {
	hijacked(w, func(conn net.Conn) { trickle(conn, "H", 20*time.Millisecond) })
}

// HugeHeaders sends headers without an end.
func HugeHeaders(w http.ResponseWriter, _ *http.Request) {
	hijacked(w, func(conn net.Conn) {
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\n"))
		repeat(conn, bytes.Repeat([]byte("X-And: so on\r\n"), 4<<10))
	})
}

func hijacked(w http.ResponseWriter, answer func(net.Conn)) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	answer(conn)
}

// Huge answers with a gigabyte, unless the client goes away.
func Huge(w http.ResponseWriter, r *http.Request) {
	block := bytes.Repeat([]byte("x"), 1<<20)
	for range 1 << 10 {
		if _, err := w.Write(block); err != nil || r.Context().Err() != nil {
			return
		}
	}
}

// What the providers document as their answer to a message that they take.
const (
	SlackOK     = "ok"
	EvolutionOK = `{"key":{"remoteJid":"4915112345678@s.whatsapp.net","fromMe":true,"id":"BAE594145F4C59B4"},"message":{"extendedTextMessage":{"text":"…"}},"messageTimestamp":"1717689097","status":"PENDING"}`
	CloudOK     = `{"messaging_product":"whatsapp","contacts":[{"input":"4915112345678","wa_id":"4915112345678"}],"messages":[{"id":"wamid.HBgLMTY0NjcwNDM1OTUVAgARGBI1RjQyNUE3NEYxMzAzMzQ5MkEA"}]}`
)
