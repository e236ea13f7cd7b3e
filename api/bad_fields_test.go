package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// leaf is a value inside a document, which can be replaced.
type leaf struct {
	path, name string
	value      any
	set        func(any)
}

// leavesOf are the values of a document that hold no others.
func leavesOf(value any, path, name string, set func(any)) []leaf {
	var out []leaf
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out = append(out, leavesOf(v[key], path+"."+key, key, func(to any) { v[key] = to })...)
		}
	case []any:
		for i := range v {
			out = append(out, leavesOf(v[i], path+"[]", name, func(to any) { v[i] = to })...)
		}
	default:
		out = append(out, leaf{path, name, value, set})
	}
	return out
}

// freeForm are operations whose bodies have no fields of their own.
var freeForm = []string{"update-settings", "replace-settings"}

const sqlName = `'; DROP TABLE users; --`

// TestEveryFieldOfEveryBodyRefusesWhatItCanNotBe takes the example of each body, and makes one field after the other wrong.
func TestEveryFieldOfEveryBodyRefusesWhatItCanNotBe(t *testing.T) {
	f := newFixture(t)
	all := f.sendExamples()
	job := f.call("GET", "/api/backup-jobs", nil).ok(200).get("items").([]any)[0].(object)["id"].(string)
	asked := 0
	ask := func(s sent, l leaf, document any, to any, what string, want ...int) {
		t.Helper()
		asked++
		l.set(to)
		text, err := json.Marshal(document)
		l.set(l.value)
		require.NoError(t, err)
		answer := f.direct(s.method, s.path, "application/json", string(text))
		assert.Contains(t, want, answer.status, "%s with %s in %s: %.300s", s.OperationID, what, l.path, answer.text)
		if answer.status >= http.StatusBadRequest {
			answer.problem(answer.status)
		}
	}
	for _, operation := range slices.Sorted(maps.Keys(all)) {
		s := all[operation]
		if s.OperationID == "auth-login" || s.OperationID == "change-password" {
			continue // each try costs a password hash, and counts
		}
		var document any
		require.NoError(t, json.Unmarshal([]byte(s.body), &document))
		for _, l := range leavesOf(document, "", "", nil) {
			ask(s, l, document, map[string]any{"a": []any{1}}, "an object", 422)
			if slices.Contains(freeForm, operation) {
				continue
			}
			ask(s, l, document, []any{map[string]any{}}, "a list", 422)
			text, isText := l.value.(string)
			if !isText {
				ask(s, l, document, "a text", "a text", 422)
				ask(s, l, document, 1e300, "a huge number", 422)
				continue
			}
			ask(s, l, document, 42, "a number", 422)
			ask(s, l, document, strings.Repeat("x", 200_000), "a text of 200 kB", 422)
			switch {
			case uuid.Validate(text) == nil:
				ask(s, l, document, uuid.NewString(), "an id of nothing", 404, 422)
				ask(s, l, document, sqlName, "SQL", 422)
				if l.name != "job_id" && l.name != "backup_job_id" {
					ask(s, l, document, job, "the id of another kind of thing", 404, 422)
				}
			case l.name == "schedule_cron":
				for _, cron := range []string{"61 * * * *", "* * * *", "* * * * * *", "@never", sqlName, "*/0 * * * *", "0 0 31 2 *"} {
					ask(s, l, document, cron, "the cron "+cron, 422)
				}
			case l.name == "schedule_timezone":
				for _, zone := range []string{"Mars/Olympus", "../../etc/passwd", "Local", sqlName, "+01:00"} {
					ask(s, l, document, zone, "the time zone "+zone, 422)
				}
			case l.name == "name" && strings.HasPrefix(operation, "create-"):
				ask(s, l, document, sqlName, "SQL", 201, 409, 422)
				ask(s, l, document, "", "nothing", 409, 422)
			default:
				// A text of any kind, or of few: what matters is that it is no fault of ours.
				ask(s, l, document, sqlName, "SQL", 200, 201, 202, 404, 409, 422)
			}
		}
	}
	require.Greater(t, asked, 400)
	require.NotContains(t, f.log.String(), "request failed")
	var users int
	require.NoError(t, f.connect().QueryRow(t.Context(), "SELECT count(*) FROM users").Scan(&users))
	require.GreaterOrEqual(t, users, 2, "nothing of it was run")
}

// TestEveryEnumOfEveryBodyRefusesAnotherMember looks at the schemas: a member that is none is refused wherever there are members.
func TestEveryEnumOfEveryBodyRefusesAnotherMember(t *testing.T) {
	f := newFixture(t)
	all := f.sendExamples()
	registry, asked := f.server.api.OpenAPI().Components.Schemas, 0
	for _, operation := range slices.Sorted(maps.Keys(all)) {
		s := all[operation]
		schema := s.RequestBody.Content["application/json"].Schema
		for schema.Ref != "" {
			schema = registry.SchemaFromRef(schema.Ref)
		}
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			if len(schema.Properties[name].Enum) == 0 {
				continue
			}
			asked++
			var document map[string]any
			require.NoError(t, json.Unmarshal([]byte(s.body), &document))
			document[name] = "no such member"
			text, err := json.Marshal(document)
			require.NoError(t, err)
			f.direct(s.method, s.path, "application/json", string(text)).wrong(name)
		}
	}
	require.Greater(t, asked, 8)
}
