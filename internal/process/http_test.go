package process_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/process"
)

func TestStopEndsAnEventStreamWithoutCuttingItOff(t *testing.T) {
	streaming := make(chan struct{})
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		require.NoError(t, http.NewResponseController(w).Flush())
		close(streaming)
		<-r.Context().Done()
		_, _ = io.WriteString(w, "the end")
	}))
	response, err := http.Get("http://" + server.Address())
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	<-streaming

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server.Stop(ctx)
	require.NoError(t, ctx.Err(), "the stream ended before the patience did")
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "the end", string(body))
}

func TestStopClosesARequestThatDoesNotEnd(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	server := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-release
	}))
	answered := make(chan error, 1)
	go func() {
		response, err := http.Get("http://" + server.Address())
		if err == nil {
			_ = response.Body.Close()
		}
		answered <- err
	}()
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	server.Stop(ctx)
	require.Error(t, <-answered)
}

func serve(t *testing.T, handler http.Handler) *process.HTTPServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := process.ServeHTTP(listener, handler, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { server.Stop(context.Background()) })
	return server
}

func TestHeadersThatDoNotArriveAreNotWaitedFor(t *testing.T) {
	process.ShortenHeaderTime(t, 100*time.Millisecond)
	server := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it is no request") }))
	conn, err := net.Dial("tcp", server.Address())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = io.ReadAll(conn)
	require.NoError(t, err, "the server ends the connection")
}

func TestHeadersAreBounded(t *testing.T) {
	server := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it is no request") }))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Address(), nil)
	require.NoError(t, err)
	request.Header.Set("X-Large", strings.Repeat("x", 200<<10))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
}
