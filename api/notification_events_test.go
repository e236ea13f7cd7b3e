package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db/dbtest"
)

// told is an event of a stream: its id, and its name with what it is about.
type told struct{ id, says string }

// streams opens a stream of events; next waits for one, without those of unread.
func (f *fixture) streams(path, last string) (next func() told, leave func()) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	request, err := http.NewRequestWithContext(ctx, "GET", f.http.URL+path, nil)
	require.NoError(f.t, err)
	request.Header.Set("Authorization", "Bearer "+f.token)
	if last != "" {
		request.Header.Set("Last-Event-ID", last)
	}
	answer, err := f.http.Client().Do(request)
	require.NoError(f.t, err)
	leave = func() { cancel(); _ = answer.Body.Close() }
	f.t.Cleanup(leave)
	require.Equal(f.t, http.StatusOK, answer.StatusCode)
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	return func() (e told) {
		f.t.Helper()
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case field == "id":
				e.id = value
			case field == "event":
				e.says = value
			case field == "data" && e.says != "unread":
				var about struct{ Title string }
				require.NoError(f.t, json.Unmarshal([]byte(value), &about))
				e.says = strings.TrimSpace(e.says + " " + about.Title)
				return e
			}
		}
		require.Fail(f.t, "the stream ended")
		return e
	}, leave
}

const notificationEvents = "/api/notifications/events"

// writes writes notifications of a time, in one transaction.
func (f *fixture) writes(title string, n int, ago string) {
	f.t.Helper()
	dbtest.Execute(f.t, f.url, `INSERT INTO notifications (id, type, severity, entity_type, title, created_at)
		SELECT gen_random_uuid(), 'backup_failed', 'critical', 'system', $1, now() - $3::interval + g * interval '1 millisecond' FROM generate_series(1, $2::int) g`, title, n, ago)
}

// What comes into view because newer ones went is not new.
func TestOldNotificationsAreNeverStreamedAsNew(t *testing.T) {
	f := signedIn(t)
	f.writes("old", 210, "1 hour")
	f.writes("recent", 10, "1 minute")
	next, _ := f.streams(notificationEvents, "")
	for i := range 3 { // as soon as the first is told, the stream has begun
		f.writes(fmt.Sprint("new ", i), 1, "0 seconds")
		require.Equal(t, fmt.Sprint("notification new ", i), next().says)
		dbtest.Execute(t, f.url, "DELETE FROM notifications WHERE title = 'recent'")
	}
	f.writes("late", 1, "2 minutes") // its transaction took so long
	require.Equal(t, "notification late", next().says)
}

func TestAStreamOfNotificationsGoesOnWhereAClientLeft(t *testing.T) {
	f := signedIn(t)
	f.writes("old", 3, "1 hour")
	next, leave := f.streams(notificationEvents, "")
	f.writes("a", 1, "0 seconds")
	seen := next()
	require.Equal(t, "notification a", seen.says)
	leave()
	f.writes("b", 1, "0 seconds")
	f.writes("c", 1, "0 seconds")
	next, leave = f.streams(notificationEvents, seen.id)
	require.Equal(t, "notification b", next().says, "what was written meanwhile, and nothing that was seen")
	seen = next()
	require.Equal(t, "notification c", seen.says)
	leave()
	next, _ = f.streams(notificationEvents, seen.id)
	f.writes("d", 1, "0 seconds")
	for says := ""; says != "notification d"; {
		says = next().says
		require.NotEqual(t, "notification c", says)
	}
	f.call("GET", notificationEvents, nil, "Last-Event-ID", "x").wrong("header.Last-Event-ID")
}

// What was written before a client left, by a transaction that took long, it has not seen.
func TestWhatBecameVisibleLateIsSentToWhoComesBack(t *testing.T) {
	f := signedIn(t)
	next, leave := f.streams(notificationEvents, "")
	f.writes("a", 1, "0 seconds")
	seen := next()
	leave()
	f.writes("late", 1, "2 minutes")
	f.writes("b", 1, "0 seconds")
	next, _ = f.streams(notificationEvents, seen.id)
	require.Equal(t, "notification late", next().says)
	require.Equal(t, "notification b", next().says)
}

// The ids of older versions tell no time, and those of now do always, also where there is nothing yet.
func TestAnIDWithoutATimeBeginsAnew(t *testing.T) {
	f := signedIn(t)
	first := f.firstID(notificationEvents)
	require.Equal(t, noNotification, first)
	f.writes("old", 3, "1 hour")
	next, leave := f.streams(notificationEvents, first)
	require.Equal(t, "notification old", next().says, "which was written since")
	leave()
	next, _ = f.streams(notificationEvents, "17")
	f.writes("new", 1, "0 seconds")
	require.Equal(t, "notification new", next().says)
}

// firstID is the id of a stream's first event.
func (f *fixture) firstID(path string) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 2*time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", f.http.URL+path, nil)
	require.NoError(f.t, err)
	request.Header.Set("Authorization", "Bearer "+f.token)
	answer, err := f.http.Client().Do(request)
	require.NoError(f.t, err)
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if field, value, _ := strings.Cut(lines.Text(), ": "); field == "id" {
			return value
		}
	}
	require.Fail(f.t, "the stream ended")
	return ""
}

func TestWhoMissedMoreThanIsStreamedIsTold(t *testing.T) {
	f := signedIn(t)
	f.writes("old", 1, "2 hours")
	left := fmt.Sprint(time.Now().Add(-time.Hour).UnixMicro()) // no more than a time, as the other stream has it
	f.writes("missed", streamedAtOnce+1, "30 minutes")
	next, _ := f.streams(notificationEvents, left+"-")
	require.Equal(t, "gap", next().says)
	f.writes("new", 1, "0 seconds")
	require.Equal(t, "notification new", next().says)

	const executions = "/api/executions/events"
	ended := func(n int) {
		dbtest.Execute(t, f.url, `INSERT INTO backup_executions (id, status, started_at, finished_at, generation, metadata)
			SELECT gen_random_uuid(), 'completed', now(), now(), lpad(g::text, 8, '0'), '{"operation": "restore", "trigger": "manual"}'
			FROM generate_series(1, $1::int) g`, n)
	}
	ended(maxResumed)
	next, leave := f.streams(executions, left)
	require.Equal(t, "update", next().says, "all of them are told")
	leave()
	ended(1)
	next, _ = f.streams(executions, left)
	require.Equal(t, "gap", next().says)
	for range maxResumed {
		require.Equal(t, "update", next().says)
	}
}
