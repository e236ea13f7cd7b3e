package api

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/auth"
)

func TestSetupMakesOneOwnerHoweverManyTry(t *testing.T) {
	f := newFixture(t)
	require.Equal(t, true, f.call("GET", "/api/auth/status", nil).ok(200).get("setup_needed"))
	const tries = 20
	statuses := make([]int, tries)
	var wait sync.WaitGroup
	for i := range tries {
		wait.Go(func() {
			statuses[i] = f.call("POST", "/api/auth/setup", object{"email": ownerEmail, "password": ownerPassword}).status
		})
	}
	wait.Wait()
	count := map[int]int{}
	for _, status := range statuses {
		count[status]++
	}
	require.Equal(t, map[int]int{http.StatusCreated: 1, http.StatusConflict: tries - 1}, count)
	require.Equal(t, false, f.call("GET", "/api/auth/status", nil).ok(200).get("setup_needed"))
	require.Len(t, f.audits("auth.setup"), 1)
}

func TestSignIn(t *testing.T) {
	f := signedIn(t)
	f.token = ""
	for name, tc := range map[string]struct {
		email, password string
		status          int
	}{
		"the right password signs in":         {ownerEmail, ownerPassword, 200},
		"the email's case does not matter":    {"OWNER@example.com", ownerPassword, 200},
		"a wrong password is refused":         {ownerEmail, "wrong horse battery", 401},
		"an unknown account is refused":       {"nobody@example.com", ownerPassword, 401},
		"an empty password is refused":        {ownerEmail, "", 401},
		"a password of 2000 bytes is refused": {ownerEmail, strings.Repeat("x", 2000), 401},
		"SQL in the email is only text":       {"' OR 1=1 --", ownerPassword, 401},
	} {
		t.Run(name, func(t *testing.T) {
			f := *f
			f.t = t
			answer := f.call("POST", "/api/auth/login", object{"email": tc.email, "password": tc.password})
			if tc.status == 200 {
				answer.ok(200)
				require.Regexp(t, "^dgs_", answer.get("token"))
				return
			}
			require.Equal(t, "The email or the password is wrong.", answer.problem(401).Detail)
		})
	}
	require.Len(t, f.audits("auth.login"), 2)
	for _, entry := range f.audits("auth.login_failed") {
		require.Contains(t, []string{"anonymous", ownerEmail}, entry.Actor, "what a stranger typed is not written down")
	}
	for _, secret := range []string{ownerPassword, "wrong horse battery", "dgs_"} {
		require.NotContains(t, f.log.String(), secret)
	}
}

func TestSessions(t *testing.T) {
	f := signedIn(t)
	require.Equal(t, ownerEmail, f.call("GET", "/api/auth/me", nil).ok(200).get("email"))
	owner := f.call("GET", "/api/auth/me", nil).get("id").(string)

	t.Run("an expired session is refused", func(t *testing.T) {
		other := *f
		other.t, other.token = t, f.session(owner, time.Now().Add(-time.Second))
		other.call("GET", "/api/auth/me", nil).problem(401)
	})
	t.Run("a token that was not given out is refused", func(t *testing.T) {
		for _, token := range []string{"x", "dgs_", "dgs_" + f.token} {
			other := *f
			other.t, other.token = t, token
			other.call("GET", "/api/auth/me", nil).problem(401)
		}
	})
	t.Run("a token in the query is not looked at", func(t *testing.T) {
		other := *f
		other.t, other.token = t, ""
		other.call("GET", "/api/auth/me?token="+f.token, nil).problem(401)
		require.NotContains(t, f.log.String(), f.token)
	})
	t.Run("use slides the end forward", func(t *testing.T) {
		token := f.session(owner, time.Now().Add(time.Hour))
		dbtest.Execute(t, f.url, `UPDATE auth_sessions SET last_seen_at = now() - interval '10 minutes'`)
		other := *f
		other.t, other.token = t, token
		other.call("GET", "/api/auth/me", nil).ok(200)
		hash, _ := auth.HashToken(token)
		found, err := f.db.SessionByTokenHash(context.Background(), hash)
		require.NoError(t, err)
		require.WithinDuration(t, time.Now().Add(12*time.Hour), found.Session.ExpiresAt, time.Minute)
	})
	t.Run("a deactivated user is out at once", func(t *testing.T) {
		other := f.as(auth.SystemRead)
		other.t = t
		other.call("GET", "/api/auth/me", nil).ok(200)
		dbtest.Execute(t, f.url, `UPDATE users SET is_active = false WHERE email = $1`, other.call("GET", "/api/auth/me", nil).get("email"))
		other.call("GET", "/api/auth/me", nil).problem(401)
	})
	t.Run("somebody else's session is not found", func(t *testing.T) {
		other := f.as()
		other.t = t
		mine := f.call("GET", "/api/auth/sessions", nil).ok(200).get("items").([]any)[0].(object)["id"].(string)
		other.call("DELETE", "/api/auth/sessions/"+mine, nil).problem(404)
	})
	t.Run("the other sessions end together, this one stays", func(t *testing.T) {
		f.call("DELETE", "/api/auth/sessions", nil).ok(204)
		items := f.call("GET", "/api/auth/sessions", nil).ok(200).get("items").([]any)
		require.Len(t, items, 1)
		require.Equal(t, true, items[0].(object)["current"])
	})
	t.Run("a sign-out ends the session", func(t *testing.T) {
		f.call("POST", "/api/auth/logout", nil).ok(204)
		f.call("GET", "/api/auth/me", nil).problem(401)
	})
}

func TestTheSignInIsThrottled(t *testing.T) {
	f := signedIn(t, func(o *Options) {
		o.LoginLimits = auth.ThrottleLimits{AccountBurst: 3, AccountInterval: time.Minute, AddressBurst: 50, AddressInterval: time.Minute, MaxEntries: 100}
	})
	for range 3 {
		f.call("POST", "/api/auth/login", object{"email": "a@example.com", "password": "wrong"}).problem(401)
	}
	answer := f.call("POST", "/api/auth/login", object{"email": "a@example.com", "password": "wrong"})
	answer.problem(http.StatusTooManyRequests)
	require.Regexp(t, `^[1-9][0-9]*$`, answer.header.Get("Retry-After"))
	f.call("POST", "/api/auth/login", object{"email": ownerEmail, "password": ownerPassword}).ok(200)
}
