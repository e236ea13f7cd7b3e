package api

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

func TestARefusedTokenIsInTheAuditTrail(t *testing.T) {
	f := signedIn(t)
	owner := f.me()
	forged, _, err := auth.NewToken()
	require.NoError(t, err)
	for reason, token := range map[string]string{
		"there is no token":                "",
		"the token is unknown":             forged,
		"the session or token has expired": f.session(owner, time.Now().Add(-time.Minute)),
	} {
		before := len(f.audits("access.unauthenticated"))
		for range 50 {
			caller := *f
			caller.token = token
			caller.call("GET", "/api/datasources", nil).problem(http.StatusUnauthorized)
		}
		entries := f.audits("access.unauthenticated")
		require.Len(t, entries, before+1, "a flood is told once: %s", reason)
		last := entries[len(entries)-1]
		require.Contains(t, last.Changes, reason)
		require.Equal(t, "list-datasources", last.ResourceID)
		require.NotContains(t, fmt.Sprint(last), forged)
		if token != "" && token != forged {
			require.Equal(t, ownerEmail, last.Actor, "whose token it was is known")
		}
	}
}

func TestAThrottledSignInIsInTheAuditTrail(t *testing.T) {
	f := signedIn(t, func(o *Options) {
		o.LoginLimits = auth.ThrottleLimits{AccountBurst: 3, AccountInterval: time.Hour, AddressBurst: 50, AddressInterval: time.Minute, MaxEntries: 100}
	})
	for range 2 {
		f.call("POST", "/api/auth/login", object{"email": ownerEmail, "password": "wrong"}).problem(http.StatusUnauthorized)
	}
	require.Empty(t, f.audits("auth.throttled"))
	for range 20 {
		f.call("POST", "/api/auth/login", object{"email": ownerEmail, "password": "wrong"}).problem(http.StatusTooManyRequests)
	}
	entries := f.audits("auth.throttled")
	require.Len(t, entries, 1)
	require.Equal(t, f.me(), entries[0].ResourceID, "the account that somebody tries to get into")
	require.Equal(t, ownerEmail, entries[0].Actor)
}

func TestWhatStrangersSendToTheSignInThroughAProviderDoesNotFillTheTrail(t *testing.T) {
	p := withProvider(t)
	for range 20 {
		p.call("GET", "/api/auth/oidc/callback?state=x&code=y", nil).problem(http.StatusBadRequest)
		p.call("POST", "/api/auth/oidc/token", object{"code": "x", "code_verifier": "y"}).problem(http.StatusUnauthorized)
	}
	back, cookie := p.begin("", person("jane@example.com", "ops"))
	for i := range 20 { // any text is no other kind
		p.comeBack(fmt.Sprintf("%s&error=access_denied%d", back, i), cookie).problem(http.StatusForbidden)
	}
	require.Len(t, p.audits("auth.oidc_refused"), 3, "one of each kind")
}

// written collects what would be written into the trail.
type written struct{ entries chan db.AuditEntry }

func (w written) write(_ context.Context, entry db.AuditEntry) error {
	w.entries <- entry
	return nil
}

func stranger(address string) db.AuditEntry {
	return db.AuditEntry{Action: "access.unauthenticated", IP: address, Changes: map[string]any{"reason": "the token is unknown"}}
}

func TestRefusalsThatAreNotToldOneByOneAreCounted(t *testing.T) {
	w := written{make(chan db.AuditEntry, 10)}
	r := newRefusals(50*time.Millisecond, w.write)
	for range 8 {
		require.NoError(t, r.add(t.Context(), stranger("192.0.2.1"), nil))
	}
	require.NotContains(t, (<-w.entries).Changes, "more")
	last := <-w.entries
	require.Equal(t, 7, last.Changes["more"], "told when the window ends")
	require.Contains(t, last.Changes, "since")
	require.NoError(t, r.add(t.Context(), stranger("192.0.2.1"), nil))
	require.NotContains(t, (<-w.entries).Changes, "more", "a new window begins")
}

func TestTheTrailIsBoundedHoweverManyAddressesAnAttackerHas(t *testing.T) {
	total := 0
	r := newRefusals(time.Hour, func(context.Context, db.AuditEntry) error { total++; return nil })
	for i := range 10 * maxTallies {
		require.NoError(t, r.add(t.Context(), stranger(fmt.Sprintf("2001:db8:%x::1", i)), nil))
	}
	require.Equal(t, maxTallies+1, total)
	require.LessOrEqual(t, len(r.open), maxTallies+1)
	id := "an account"
	known := db.AuditEntry{Action: actionRefused, ActorID: &id}
	require.NoError(t, r.add(t.Context(), known, nil))
	require.Equal(t, maxTallies+2, total, "who is signed in is told of all the same")
	for range 10 * accountsTold {
		require.NoError(t, r.add(t.Context(), known, nil))
	}
	require.Equal(t, maxTallies+1+accountsTold, total)
}

func TestARefusalThatCouldNotBeWrittenIsNotTakenForTold(t *testing.T) {
	broken, total := true, 0
	r := newRefusals(time.Hour, func(context.Context, db.AuditEntry) error {
		if broken {
			return context.DeadlineExceeded
		}
		total++
		return nil
	})
	require.Error(t, r.add(t.Context(), stranger("192.0.2.1"), nil))
	broken = false
	require.NoError(t, r.add(t.Context(), stranger("192.0.2.1"), nil))
	require.NoError(t, r.add(t.Context(), stranger("192.0.2.1"), nil))
	require.Equal(t, 1, total)
}
