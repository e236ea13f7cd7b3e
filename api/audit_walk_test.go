package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db/dbtest"
)

// unheard is the user agent of requests that the audit trail takes no entry of; see guard.
const unheard = "a client whose entries are refused"

// guard lets the audit trail refuse every entry of a user agent, in this test's database.
func (f *fixture) guard(agent string) {
	f.t.Helper()
	dbtest.Execute(f.t, f.url, `CREATE FUNCTION refuse_entry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk of the trail is full'; END $$`)
	dbtest.Execute(f.t, f.url, fmt.Sprintf(
		`CREATE TRIGGER refuse_entry BEFORE INSERT ON audit_logs FOR EACH ROW WHEN (NEW.user_agent = '%s') EXECUTE FUNCTION refuse_entry()`, agent))
}

// contents are digests of what every table holds, but for the audit trail, and for when a session was last used.
func contents(t *testing.T, conn *pgx.Conn) map[string]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'audit_logs' ORDER BY 1`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(names), 25)
	parts := make([]string, len(names))
	for i, name := range names {
		without := "'last_seen_at' - 'last_used_at'"
		if name == "auth_sessions" {
			without += " - 'expires_at'"
		}
		parts[i] = fmt.Sprintf(`SELECT '%[1]s', md5(coalesce(string_agg(line, '' ORDER BY line), '')) FROM (SELECT (to_jsonb(t) - %[2]s)::text AS line FROM %[1]s t) l`, name, without)
	}
	out := make(map[string]string)
	var name, digest string
	rows, err = conn.Query(t.Context(), strings.Join(parts, " UNION ALL "))
	require.NoError(t, err)
	_, err = pgx.ForEachRow(rows, []any{&name, &digest}, func() error { out[name] = digest; return nil })
	require.NoError(t, err)
	return out
}

// asked is how often Temporal was asked to do something.
func (f *fixture) asked() (times int) {
	for _, call := range f.temporal.Calls {
		if slices.Contains([]string{"ExecuteWorkflow", "CancelWorkflow", "SignalWorkflow", "TerminateWorkflow", "ScheduleClient"}, call.Method) {
			times++
		}
	}
	return times
}

// trace is an entry of the audit trail that an operation is to leave.
type trace struct{ action, resource string }

// attempt is a valid request, and what it is to leave in the trail.
type attempt struct {
	path    string
	body    any
	headers []string
	of      *fixture // whose session it carries; nil for the owner
	entries []trace
	about   string   // the id of what the last entry is about; "" for that of the answer, "-" for none
	idAt    []string // where the answer has that id, if not in "id"

	stranger bool // nobody is signed in
}

// left are the entries that a request left.
type left struct {
	Action, Resource, ResourceID, ActorName, IP, UserAgent, Changes string
	ActorID                                                         *string
}

// entriesOf reads what a request left in the trail, oldest first.
func entriesOf(t *testing.T, conn *pgx.Conn, requestID string) []left {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT action, resource, resource_id, actor_name, ip, user_agent, changes::text, actor_id::text
		FROM audit_logs WHERE request_id = $1 ORDER BY created_at, id`, requestID)
	require.NoError(t, err)
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[left])
	require.NoError(t, err)
	return out
}

func total(t *testing.T, conn *pgx.Conn) (n int) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM audit_logs").Scan(&n))
	return n
}

// secretsOfTheBook are what no entry may have.
var secretsOfTheBook = []string{
	ownerPassword, dbPassword, "a quite new password", "argon2", "dgt_", "dgs_", "signing-key-1", "header-secret", "AGE-SECRET-KEY", "the verifier of a command line",
}

// TestEveryChangeIsInTheTrailOnceOrDoesNotHappen walks the document: every operation that changes something is made with a valid
// request. When the trail takes no entry, nothing is changed and nothing is asked of Temporal; when it does, the very same request
// leaves the entries that the book names, each with who did what by which request, and no secret.
func TestEveryChangeIsInTheTrailOnceOrDoesNotHappen(t *testing.T) {
	b := newBook(t)
	conn := b.connect()
	changing := map[string]walked{}
	for _, o := range b.operations() {
		if o.method != http.MethodGet || auditedReads[o.OperationID] {
			changing[o.OperationID] = o
		}
	}
	for id := range b.makes {
		require.Contains(t, changing, id, "the book has it, the document has not")
	}
	for id := range auditedReads {
		require.Contains(t, changing, id)
	}
	for _, o := range b.operations() {
		if _, walks := changing[o.OperationID]; !walks {
			continue
		}
		makes := b.makes[o.OperationID]
		if !assert.NotNil(t, makes, "%s changes something, and the book has no way to call it", o.OperationID) {
			continue
		}
		t.Run(o.OperationID, func(t *testing.T) {
			b.t = t
			a := makes()
			if a.of == nil {
				owner := *b.fixture
				a.of = &owner
			}
			a.of.t = t
			if a.stranger {
				a.of.token = ""
			}
			to := conn
			if a.of.url != b.url {
				to = a.of.connect() // of an installation of its own
			}
			a.refused(o, to)
			a.made(o, to)
		})
	}
}

func (a attempt) refused(o walked, conn *pgx.Conn) {
	f, t := a.of, a.of.t
	before, asked, entries := contents(t, conn), f.asked(), total(t, conn)
	answer := f.call(o.method, a.path, a.body, append([]string{"User-Agent", unheard}, a.headers...)...)
	if len(a.entries) == 0 {
		require.NotEmpty(t, looksOnly[o.OperationID], "only what changes nothing leaves nothing")
		require.Less(t, answer.status, 300, answer.text)
	} else {
		require.Contains(t, answer.problem(http.StatusInternalServerError).Detail, "audit trail")
	}
	require.Equal(t, before, contents(t, conn), "it changed something")
	require.Equal(t, asked, f.asked(), "something was asked of Temporal")
	require.Equal(t, entries, total(t, conn))
}

func (a attempt) made(o walked, conn *pgx.Conn) {
	f, t := a.of, a.of.t
	request := uuid.NewString()
	entries := total(t, conn)
	answer := f.call(o.method, a.path, a.body, append([]string{"X-Request-Id", request}, a.headers...)...)
	require.Less(t, answer.status, 300, answer.text)
	found := entriesOf(t, conn, request)
	require.Equal(t, entries+len(found), total(t, conn), "an entry does not name the request")
	actions := []trace{}
	for _, entry := range found {
		actions = append(actions, trace{entry.Action, entry.Resource})
		require.NotNil(t, entry.ActorID, entry)
		require.Contains(t, entry.ActorName, "@", entry)
		require.NotEmpty(t, entry.IP, entry)
		require.NotEmpty(t, entry.UserAgent, entry)
		for _, secret := range secretsOfTheBook {
			require.NotContains(t, entry.Changes, secret)
		}
	}
	require.Equal(t, append([]trace{}, a.entries...), actions)
	if len(found) == 0 {
		return
	}
	about := a.about
	switch about {
	case "":
		if a.idAt == nil {
			a.idAt = []string{"id"}
		}
		about = answer.get(a.idAt...).(string)
	case "-":
		about = ""
	}
	require.Equal(t, about, found[len(found)-1].ResourceID)
}
