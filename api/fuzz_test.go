package api

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Targets of make fuzz, besides those of bad_input_test.go.

// bare is an API without a database.
func bare(f *testing.F) *server {
	f.Helper()
	s, err := newServer(Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(f, err)
	return s
}

func FuzzConfig(f *testing.F) {
	kinds := bare(f).configKinds()
	for _, seed := range []string{
		requestExamples["apply-config"], "datasources: [{name: a, connection_config: {password: {from_env: X}}}]", "- a", "a: &a [*a]", "datasources: null",
		"datasources: {}", "jobs: []", "? [a]\n: b", "datasources: [1, null, [], \"\\0\"]", "{}", "datasources: &x [{name: a}]\nbackup_jobs: *x",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		sections, err := parseConfig(kinds, text)
		if err == nil {
			for section := range sections {
				require.Contains(t, requestExamples["apply-config"]+" sync_jobs drill_jobs notification_channels notification_templates", section)
			}
			return
		}
		var known *problem.Problem
		var invalid domain.Invalid
		require.True(t, errors.As(err, &known) || errors.As(err, &invalid), "an error that clients are not told: %v", err)
	})
}

func FuzzLastEventID(f *testing.F) {
	for _, seed := range []string{"", "0", "-1", "1772334007000000", "9223372036854775807", "9223372036854775808", "1e3", " 1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		since, err := resumeFrom(header)
		if err == nil {
			require.False(t, since.Before(time.Unix(0, 0)))
			require.True(t, since.Before(time.Now().Add(2*time.Hour)))
		}
	})
}

// FuzzFilters asks an operation with every kind of query parameter that lists have.
func FuzzFilters(f *testing.F) {
	s := bare(f)
	type filters struct {
		AuditFilter
		Paging
		Status  string `query:"status" enum:"queued,running"`
		Unread  bool   `query:"unread"`
		Backup  string `query:"backup" format:"uuid"`
		Pattern string `query:"pattern" pattern:"^[a-z]+$"`
	}
	register(s, public("a test"), huma.Operation{OperationID: "fuzz", Method: http.MethodGet, Path: "/fuzz"}, func(_ context.Context, in *filters) (*body[string], error) {
		if in.Limit < 1 || in.Limit > 200 {
			return nil, errors.New("the limit was let through")
		}
		return &body[string]{in.filter().ActorID + in.Backup}, nil
	})
	for _, seed := range []string{
		"", "limit=1&cursor=x", "from=2026-01-01T00:00:00Z&to=9999-12-31T23:59:59Z", "limit=-1", "limit=1e9", "status=queued&status=x", "actor=%00", "backup=1", "unread=maybe",
		"a=%zz", "limit=%31;limit=2", "from=0000-00-00T00:00:00Z", "pattern=A",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		request := httptest.NewRequest(http.MethodGet, "/fuzz", nil)
		request.URL = &url.URL{Path: "/fuzz", RawQuery: query}
		answer := httptest.NewRecorder()
		s.engine.ServeHTTP(answer, request)
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest, http.StatusUnprocessableEntity}, answer.Code, answer.Body.String())
		if answer.Code != http.StatusOK {
			require.Equal(t, problem.ContentType, answer.Header().Get("Content-Type"))
		}
	})
}

func TestCursorsThatWereMadeUpAreRefused(t *testing.T) {
	f := signedIn(t)
	f.obliging()
	job, _, _ := f.job("orders")
	asked := 0
	for _, o := range f.operations() {
		for _, p := range o.Parameters {
			if p.Name != "cursor" || o.OperationID == "list-storage-files" || o.OperationID == "list-backup-files" {
				continue // the cursors of folders are names
			}
			asked++
			for _, text := range []string{
				"9223372036854775807." + uuid.Nil.String(), "-9223372036854775808." + uuid.Nil.String(), "253402300800000000." + uuid.Nil.String(), "1.x", "x." + uuid.Nil.String(), "1", ".",
			} {
				answer := f.direct(o.method, o.filled(job)+"?cursor="+base64.RawURLEncoding.EncodeToString([]byte(text)), "application/json", "")
				require.Contains(t, []int{404, 422}, answer.status, "%s with %s: %s", o.OperationID, text, answer.text)
			}
		}
	}
	require.Greater(t, asked, 15)
}
