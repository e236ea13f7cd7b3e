package api

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/auth"
)

// whileHeld locks an account, as who deletes it does, sends a request of its and waits until that waits; then it runs the statements, each with the
// id of the account as $1, and commits. It gives the answer. None of the two may be the victim of a deadlock.
func (f *fixture) whileHeld(user string, send func() reply, statements ...string) reply {
	f.t.Helper()
	conn, err := pgx.Connect(f.t.Context(), f.url)
	require.NoError(f.t, err)
	defer func() { require.NoError(f.t, conn.Close(f.t.Context())) }()
	tx, err := conn.Begin(f.t.Context())
	require.NoError(f.t, err)
	_, err = tx.Exec(f.t.Context(), "SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE", user)
	require.NoError(f.t, err)
	answers := make(chan reply, 1)
	go func() { answers <- send() }()
	require.Eventually(f.t, func() bool {
		return dbtest.Count(f.t, f.url, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
	}, 2*time.Minute, 2*time.Millisecond, "the request waits for the account")
	for _, statement := range statements {
		_, err = tx.Exec(f.t.Context(), statement, user)
		require.NoError(f.t, err, statement)
	}
	require.NoError(f.t, tx.Commit(f.t.Context()))
	return <-answers
}

func TestWhoFetchesASignInWaitsForTheAccountFirst(t *testing.T) {
	p := withProvider(t)
	user := p.call("GET", "/api/auth/me", nil).ok(http.StatusOK).get("id").(string)
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	code, hash, err := auth.NewToken()
	require.NoError(t, err)
	require.NoError(t, p.db.AddHandoff(t.Context(), hash, user, base64.RawURLEncoding.EncodeToString(sum[:]), time.Now().Add(time.Minute)))
	p.whileHeld(user, func() reply {
		return p.call("POST", "/api/auth/oidc/token", object{"code": code, "code_verifier": verifier})
	}, "DELETE FROM oidc_handoffs WHERE user_id = $1").problem(http.StatusUnauthorized)
}

// An operation about something of the caller's, which goes with the account, while somebody deletes that.
func TestWhoseAccountIsDeletedMeanwhileIsNotSignedIn(t *testing.T) {
	own := map[string]func(t *testing.T, a asking) (method, path string, header []string){
		"end the session that asks": func(*testing.T, asking) (string, string, []string) { return "POST", "/api/auth/logout", nil },
		"end a session": func(t *testing.T, a asking) (string, string, []string) {
			sessions := a.ana.call("GET", "/api/auth/sessions", nil).ids("id")
			require.NotEmpty(t, sessions)
			return "DELETE", "/api/auth/sessions/" + sessions[0], nil
		},
		"end the other sessions": func(*testing.T, asking) (string, string, []string) { return "DELETE", "/api/auth/sessions", nil },
		"sign out everywhere":    func(*testing.T, asking) (string, string, []string) { return "POST", "/api/auth/logout-everywhere", nil },
		"revoke a token": func(_ *testing.T, a asking) (string, string, []string) {
			token := a.ana.call("POST", tokensPath, object{"name": "ci", "permissions": []string{"backups.restore"}}).ok(http.StatusCreated)
			return "DELETE", tokensPath + "/" + token.get("id").(string), nil
		},
		"withdraw a request": func(_ *testing.T, a asking) (string, string, []string) {
			return "DELETE", approvalsPath + "/" + a.ana.call("DELETE", "/api/executions/"+a.backup, nil).asked(), nil
		},
		"use an approval": func(_ *testing.T, a asking) (string, string, []string) {
			id := a.ana.call("DELETE", "/api/executions/"+a.backup, nil).asked()
			a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(http.StatusOK)
			return "DELETE", "/api/executions/" + a.backup, []string{approvalHeader, id}
		},
	}
	for name, prepare := range own {
		t.Run(name, func(t *testing.T) {
			a := newAsking(t)
			method, path, header := prepare(t, a)
			user := a.ana.call("GET", "/api/auth/me", nil).ok(http.StatusOK).get("id").(string)
			a.ana.whileHeld(user, func() reply { return a.ana.call(method, path, nil, header...) },
				"DELETE FROM users WHERE id = $1").problem(http.StatusUnauthorized)
		})
	}
}

// What the database takes back because two wait for each other is not done, and no fault of the platform: also where it is the audit
// trail that was waited for, and in a document.
func TestTwoChangesThatWaitForEachOtherAreToldAsAConflict(t *testing.T) {
	f := signedIn(t)
	dbtest.Execute(t, f.url, `CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = TG_ARGV[0]; END $$`)
	for table, code := range map[string]string{"audit_logs": "40P01", "datasources": "40001"} {
		dbtest.Execute(t, f.url, fmt.Sprintf(`CREATE TRIGGER lose BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION lose('%s')`, table, code))
		refused := f.call("POST", "/api/datasources", datasourceBody("orders")).problem(http.StatusConflict)
		require.Contains(t, refused.Detail, "Send it again")
		document := "datasources:\n  - name: orders\n    type: postgres\n    connection_config: {host: db.example.com, port: 5432, database: orders, username: backup, password: secret}\n"
		refused = f.call("POST", "/api/system/config", document, "Content-Type", "application/yaml").problem(http.StatusConflict)
		require.Contains(t, refused.Detail, "Send it again")
		dbtest.Execute(t, f.url, fmt.Sprintf(`DROP TRIGGER lose ON %s`, table))
	}
	require.Empty(t, f.call("GET", "/api/datasources", nil).ids("id"))
}

// A document waits for the one before, whatever it is about.
func TestDocumentsAreAppliedOneAfterTheOther(t *testing.T) {
	f := signedIn(t)
	release, done := make(chan struct{}), make(chan error, 1)
	held := make(chan struct{})
	go func() {
		done <- f.db.InTx(t.Context(), func(q *db.Queries) error {
			err := q.LockConfig(t.Context())
			close(held)
			<-release
			return err
		})
	}()
	<-held
	answers := make(chan reply, 1)
	go func() {
		answers <- f.call("POST", "/api/system/config", "datasources: []\n", "Content-Type", "application/yaml")
	}()
	require.Eventually(t, func() bool {
		return dbtest.Count(t, f.url, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'`) > 0
	}, 2*time.Minute, 2*time.Millisecond)
	close(release)
	require.NoError(t, <-done)
	(<-answers).ok(http.StatusOK)
}
