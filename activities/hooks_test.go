package activities_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func withHooks(h domain.Hooks) domain.BackupOptions {
	options := kind(domain.Full)
	options.Hooks = &h
	return options
}

func sql(statement string) domain.Hook { return domain.Hook{SQL: statement} }

func mayFail(h domain.Hook) domain.Hook {
	h.FailRun = true
	return h
}

func TestHooksRunBeforeAndAfterInOrder(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 1<<20)
	e := s.backup(withHooks(domain.Hooks{
		Before: []domain.Hook{sql("one"), sql("two")}, AfterSuccess: []domain.Hook{sql("three")}, AfterFailure: []domain.Hook{sql("never")},
	}))
	s.requireGood(e)
	require.Equal(t, []string{"one", "two", "three"}, s.source.ran)
	require.Contains(t, logged(e), "hook before[0] (SQL statement) ran")
}

func TestAFailedRunAndACancelledOneRunTheHooksAfterFailure(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 1<<20)
	s.source.refused = failure.ConfigInvalid
	e := s.backup(withHooks(domain.Hooks{
		Before: []domain.Hook{sql("begin")}, AfterSuccess: []domain.Hook{sql("never")}, AfterFailure: []domain.Hook{sql("end"), sql("fail"), sql("last")},
	}))
	require.Equal(t, domain.Failed, e.Status)
	require.Equal(t, []string{"begin", "end", "fail", "last"}, s.source.ran)
	require.Contains(t, e.ErrorMessage, "the tool died")
	require.Contains(t, logged(e), "warning: ")
	require.Contains(t, logged(e), "syntax error")
}

func TestAHookThatFailsIsAWarningUnlessItMayFailTheRun(t *testing.T) {
	for name, test := range map[string]struct {
		hooks  domain.Hooks
		status domain.ExecutionStatus
		ran    []string
	}{
		"before, told only":       {domain.Hooks{Before: []domain.Hook{sql("fail"), sql("go on")}}, domain.Completed, []string{"fail", "go on"}},
		"before, fails the run":   {domain.Hooks{Before: []domain.Hook{mayFail(sql("fail")), sql("never")}, AfterFailure: []domain.Hook{sql("end")}}, domain.Failed, []string{"fail", "end"}},
		"after, told only":        {domain.Hooks{AfterSuccess: []domain.Hook{sql("fail")}}, domain.Completed, []string{"fail"}},
		"one that takes too long": {domain.Hooks{Before: []domain.Hook{mayFail(domain.Hook{SQL: "hang", TimeoutSeconds: 1})}}, domain.Failed, []string{"hang"}},
		"a command not allowed":   {domain.Hooks{Before: []domain.Hook{mayFail(domain.Hook{Command: []string{"/bin/true"}})}}, domain.Failed, nil},
		"a URL that is forbidden": {domain.Hooks{Before: []domain.Hook{mayFail(domain.Hook{URL: "http://169.254.169.254/token-in-path"})}}, domain.Failed, nil},
		"a server that is not up": {domain.Hooks{Before: []domain.Hook{mayFail(domain.Hook{URL: "http://127.0.0.1:1/token-in-path"})}}, domain.Failed, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.source.fill(1, 1<<20)
			e := s.backup(withHooks(test.hooks))
			require.Equal(t, test.status, e.Status, e.ErrorMessage)
			require.Equal(t, test.ran, s.source.ran)
			require.NotContains(t, logged(e)+e.ErrorMessage, "token-in-path")
			if test.status == domain.Failed {
				require.Contains(t, e.ErrorMessage, "hook ")
				require.Contains(t, e.Metadata.Hint, "backup_options.hooks")
				s.requireNothingElse()
			} else {
				require.Contains(t, logged(e), "warning: ")
			}
		})
	}
}

func TestAGoodBackupIsKeptWhateverTheHooksAfterItDo(t *testing.T) {
	for name, hooks := range map[string][]domain.Hook{
		"a hook that may fail the run": {mayFail(sql("fail")), sql("never")},
		"one that takes too long":      {mayFail(domain.Hook{SQL: "hang", TimeoutSeconds: 1})},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.source.fill(1, 1<<20)
			e := s.backup(withHooks(domain.Hooks{AfterSuccess: hooks, AfterFailure: []domain.Hook{sql("never")}}))
			require.Len(t, e.Metadata.Warnings, 2, "that of the dump stays")
			require.Contains(t, e.Metadata.Warnings[1], "hook after_success[0]")
			require.Contains(t, logged(e), "warning: the backup is good and kept")
			require.NotContains(t, s.source.ran, "never")
			s.requireGood(e)
			told, _, err := s.d.ListNotifications(t.Context(), db.NotificationFilter{ExecutionID: e.ID}, db.Page{Limit: 10})
			require.NoError(t, err)
			require.Len(t, told, 1)
			require.Equal(t, domain.NotifyBackupSuccess, told[0].Type)
			require.Equal(t, domain.SeverityWarning, told[0].Severity)
			require.Contains(t, told[0].Message, "hook after_success[0]")
		})
	}
}

// heard collects what a URL hook is sent.
type heard struct {
	mu     sync.Mutex
	bodies []string
	status int
}

func (h *heard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bodies = append(h.bodies, r.Method+" "+r.URL.Path+" "+string(body))
	w.WriteHeader(h.status)
}

func TestAURLIsToldOfTheRun(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 1<<20)
	listener := &heard{status: http.StatusNoContent}
	server := httptest.NewServer(listener)
	defer server.Close()
	hook := domain.Hook{URL: server.URL + "/hook"}
	e := s.backup(withHooks(domain.Hooks{Before: []domain.Hook{hook}, AfterSuccess: []domain.Hook{hook}}))
	s.requireGood(e)
	require.Len(t, listener.bodies, 2)
	require.Equal(t, `POST /hook {"event":"before","execution_id":"`+e.ID+`","datasource":"orders"}`, listener.bodies[0])
	require.Equal(t, `POST /hook {"event":"after_success","execution_id":"`+e.ID+`","datasource":"orders","status":"completed"}`, listener.bodies[1])

	s.source.refused = failure.ConfigInvalid
	listener.status = http.StatusTeapot
	e = s.backup(withHooks(domain.Hooks{AfterFailure: []domain.Hook{hook}}))
	require.Equal(t, domain.Failed, e.Status)
	require.Contains(t, listener.bodies[2], `"status":"failed","error":"`)
	require.Contains(t, logged(e), "418")
}

func TestAHookThatFailsRepeatsNoRow(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 1<<20)
	e := s.backup(withHooks(domain.Hooks{Before: []domain.Hook{mayFail(sql("repeat a row"))}}))
	require.Equal(t, domain.Failed, e.Status)
	require.Contains(t, e.ErrorMessage, "a trigger says … (SQLSTATE P0001)")
	require.NotContains(t, logged(e)+e.ErrorMessage, "secret")
}

// Only the job keeps the address of a hook, and servers like to repeat it in what they answer.
func TestTheAddressOfAHookIsTheJobsAndIsNowhereElse(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 1<<20)
	listener := &heard{status: http.StatusNoContent}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		listener.ServeHTTP(w, r)
		_, _ = io.WriteString(w, strings.Repeat("x", 280)+" Cannot POST "+r.URL.Path+"; try https://"+r.Host+r.URL.String())
	}))
	defer server.Close()
	options := withHooks(domain.Hooks{Before: []domain.Hook{{URL: server.URL + "/token-in-path"}}, AfterSuccess: []domain.Hook{{URL: server.URL + "/another-token"}}})
	e := s.queue(s.job, options)
	s.setJob(func(j *db.BackupJob) {
		j.BackupOptions.Hooks = &domain.Hooks{Before: []domain.Hook{{URL: server.URL + "/token-changed"}}}
	})
	listener.status = http.StatusNotFound
	e = s.run(e)
	s.requireGood(e)
	require.Len(t, listener.bodies, 1)
	require.Contains(t, listener.bodies[0], "POST /token-changed ")
	require.Contains(t, logged(e), "404")
	require.Contains(t, logged(e), "the hooks of the job were changed while the backup ran")
	text, err := json.Marshal(e)
	require.NoError(t, err)
	require.NotContains(t, string(text), "token")
	require.NotContains(t, string(s.read(e.Metadata.ManifestPath)), "token")
}

func TestACommandThatTheOperatorAllowedRunsWithoutTheWorkersEnvironment(t *testing.T) {
	t.Setenv("WORKER_SECRET", "hidden")
	s := newSite(t)
	s.source.fill(1, 1<<20)
	dir := t.TempDir()
	script, out := filepath.Join(dir, "hook"), filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" > "+out+"; env >> "+out+"\n"), 0o755)) //nolint:gosec // a program
	s.commands = []string{script}
	e := s.backup(withHooks(domain.Hooks{Before: []domain.Hook{mayFail(domain.Hook{Command: []string{script, "a b; $(reboot)", "*"}})}}))
	s.requireGood(e)
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Contains(t, string(text), "a b; $(reboot)\n*\n")
	require.Contains(t, string(text), "DATAGUARDIAN_EXECUTION_ID="+e.ID+"\n")
	require.NotContains(t, string(text), "hidden")
}
