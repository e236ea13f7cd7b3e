package cli_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// screen is what a terminal was sent.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	select {
	case s.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// shows waits until the terminal shows a text.
func (s *screen) shows(ctx context.Context, text string) bool {
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.more:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// proved is a backup that is not shown: it is a drill's.
const proved = "0199aaaa-bbbb-7ccc-8ddd-ffffffffffff"

// running is a server with an execution that goes on as far as its client has shown, and then ends.
func running(t *testing.T, on *screen) *httptest.Server {
	t.Helper()
	const state = `{"id":"` + someID + `","status":%q,"metadata":{"operation":"backup","progress":{"phase":%q,"bytes":%d,"total_bytes":%d,"total":%d}}}`
	at := func(status, phase string, bytes, total int) string {
		return fmt.Sprintf(state, status, phase, bytes, total, total)
	}
	var mu sync.Mutex
	status := "running"
	mux := http.NewServeMux()
	started := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprint(w, at("queued", "preparing", 0, 0))
	}
	mux.HandleFunc("POST /api/backup-jobs/{id}/run", started)
	mux.HandleFunc("POST /api/backups/{id}/restore", started)
	// A run has its half from its second look on; of a drill the backup is one that was made long ago.
	for path, half := range map[string]string{
		"db-sync": `"backup_execution_id":"` + someID + `"`, "restore-drill": `"backup_execution_id":"` + proved + `","restore_execution_id":"` + someID + `"`,
	} {
		run := func(w http.ResponseWriter, status, half string) {
			_, _ = fmt.Fprintf(w, `{"id":%q,"status":%q,%s,"metadata":{}}`, someID, status, half)
		}
		mux.HandleFunc("POST /api/"+path+"-jobs/{id}/run", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			run(w, "queued", `"backup_execution_id":null,"restore_execution_id":null`)
		})
		mux.HandleFunc("GET /api/"+path+"-executions/{id}", func(w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			run(w, status, half)
		})
	}
	mux.HandleFunc("GET /api/executions/{id}", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Fprint(w, at(status, "dumping", 25e6, 100e6))
	})
	mux.HandleFunc("GET /api/executions/{id}/events", func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, someID, r.PathValue("id"))
		w.Header().Set("Content-Type", "text/event-stream")
		tell := func(name, data string) {
			_, _ = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, data)
			_ = http.NewResponseController(w).Flush()
		}
		tell("snapshot", at("running", "dumping", 25e6, 100e6))
		defer func() { // however far it came: the client must not wait for ever
			mu.Lock()
			status = "completed"
			mu.Unlock()
		}()
		if !on.shows(r.Context(), "25%") {
			return
		}
		time.Sleep(150 * time.Millisecond) // a bar is not drawn more often than every 100 ms
		tell("update", at("running", "dumping", 75e6, 100e6))
		if !on.shows(r.Context(), "75%") {
			return
		}
		tell("update", at("running", "verifying", 0, 0))
		if !on.shows(r.Context(), "verifying") {
			return
		}
		tell("end", at("completed", "verifying", 0, 0))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestATerminalShowsABarThatMoves(t *testing.T) {
	for name, args := range map[string][]string{
		"run --wait":     {"job", "run", someID, "--wait"},
		"restore --wait": {"backup", "restore", someID, "--target", someID, "--confirm", "RESTORE orders", "--wait"},
		"watch":          {"execution", "watch", someID},
		"sync --wait":    {"sync", "run", someID, "--wait"},
		"drill --wait":   {"drill", "run", someID, "--wait"},
		"sync's watch":   {"sync-run", "watch", someID},
		"drill's watch":  {"drill-run", "watch", someID},
	} {
		t.Run(name, func(t *testing.T) {
			terminal, tty, err := pty.Open()
			require.NoError(t, err)
			on := &screen{more: make(chan struct{}, 1)}
			var reading sync.WaitGroup
			reading.Go(func() {
				part := make([]byte, 4096)
				for {
					n, err := terminal.Read(part)
					_, _ = on.Write(part[:n])
					if err != nil {
						return // the other side is closed
					}
				}
			})
			got := newHome(t, running(t, on).URL).runOn(tty, "", args...)
			require.NoError(t, tty.Close())
			reading.Wait()
			require.NoError(t, terminal.Close())
			require.Zero(t, got.code, got.stderr)
			shown := on.String()
			for _, part := range []string{"backup dumping", "25%", "75%", "backup verifying"} {
				require.Contains(t, shown, part)
			}
			require.Contains(t, shown, "\r", "it is written over")
			require.NotContains(t, strings.ReplaceAll(shown, "\r\n", ""), "\n", "on one line")
			require.True(t, strings.HasSuffix(shown, "\r") || strings.HasSuffix(shown, "\x1b[2K"), "the line is clean in the end: %q", shown[max(0, len(shown)-40):])
			require.Contains(t, got.stdout, "completed")
			require.NotContains(t, got.stdout, "dumping", "the outcome alone goes to standard output")
		})
	}
}
