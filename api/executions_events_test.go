package api

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// event is one of a stream.
type event struct {
	id, name string
	data     Execution
}

// events opens the stream of all executions; next waits for an event, or for the end.
func (f *fixture) events(last string) (next func() (event, bool)) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	request, err := http.NewRequestWithContext(ctx, "GET", f.http.URL+"/api/executions/events", nil)
	require.NoError(f.t, err)
	request.Header.Set("Authorization", "Bearer "+f.token)
	if last != "" {
		request.Header.Set("Last-Event-ID", last)
	}
	answer, err := f.http.Client().Do(request)
	require.NoError(f.t, err)
	f.t.Cleanup(func() { cancel(); _ = answer.Body.Close() })
	require.Equal(f.t, http.StatusOK, answer.StatusCode)
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	return func() (event, bool) {
		var e event
		for lines.Scan() {
			switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				require.NoError(f.t, json.Unmarshal([]byte(value), &e.data))
				return e, true
			}
		}
		return e, false
	}
}

// follow is events for a stream that goes on.
func (f *fixture) follow(last string) (next func() event) {
	f.t.Helper()
	events := f.events(last)
	return func() event {
		e, more := events()
		require.True(f.t, more, "the stream ended")
		return e
	}
}

func TestTheStreamOfAllExecutionsResumesWhereAClientLeft(t *testing.T) {
	f := signedIn(t)
	f.starts()
	ctx := t.Context()
	first, _, _ := f.job("first")
	second, _, _ := f.job("second")
	old := f.call("POST", "/api/backup-jobs/"+first+"/run", nil).ok(202).get("id").(string)

	next := f.follow("")
	seen := next()
	require.Equal(t, []string{"snapshot", old}, []string{seen.name, seen.data.ID})
	fresh := f.call("POST", "/api/backup-jobs/"+second+"/run", nil).ok(202).get("id").(string)
	seen = next()
	require.Equal(t, []string{"update", fresh}, []string{seen.name, seen.data.ID})
	_, err := f.db.BeginExecution(ctx, fresh, "backup-"+fresh, "run-1")
	require.NoError(t, err)
	for seen.data.Status != domain.Running {
		seen = next()
	}
	left := seen.id

	// Away: one ends, one goes on.
	require.NoError(t, f.db.FinishExecution(ctx, fresh, db.Finish{Status: domain.Completed}))
	next = f.follow(left)
	seen = next()
	require.Equal(t, []string{"snapshot", old}, []string{seen.name, seen.data.ID})
	seen = next()
	require.Equal(t, fresh, seen.data.ID)
	require.Equal(t, domain.Completed, seen.data.Status)
	require.GreaterOrEqual(t, seen.id, left)
	f.call("GET", "/api/executions/events", nil, "Last-Event-ID", "x").wrong("header.Last-Event-ID")
}

func TestASlowWatcherIsToldThatItMissedChanges(t *testing.T) {
	w := &wideWatch{changed: make(map[string]struct{}), signal: make(chan struct{}, 1)}
	w.add("b")
	w.add("a")
	w.add("b")
	ids, lost := w.take()
	require.Equal(t, []string{"a", "b"}, ids)
	require.False(t, lost)
	w.add("")
	_, lost = w.take()
	require.True(t, lost)
	for range maxWide + 1 {
		w.add(time.Now().String() + string(rune(len(w.changed))))
	}
	_, lost = w.take()
	require.True(t, lost)
	require.Len(t, w.signal, 1)
}
