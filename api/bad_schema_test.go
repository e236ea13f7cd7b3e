package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/api/problem"
)

// field is a property of a body, however deep: where it is in errors, what it is, and how a body is made that has it.
type field struct {
	location string
	schema   *huma.Schema
	in       func(value any) any
}

// fieldsOf are all properties of a schema, those of the members of lists included.
func (f *fixture) fieldsOf(schema *huma.Schema, location string, in func(any) any, above []string) []field {
	for schema.Ref != "" {
		if slices.Contains(above, schema.Ref) {
			return nil
		}
		above = append(slices.Clone(above), schema.Ref)
		schema = f.server.api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	var out []field
	if location != "" {
		out = append(out, field{location, schema, in})
	}
	switch schema.Type {
	case huma.TypeObject:
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			out = append(out, f.fieldsOf(schema.Properties[name], strings.TrimPrefix(location+"."+name, "."), func(value any) any { return in(map[string]any{name: value}) }, above)...)
		}
	case huma.TypeArray:
		out = append(out, f.fieldsOf(schema.Items, location+"[0]", func(value any) any { return in([]any{value}) }, above)...)
	}
	return out
}

// nonsense are values that a field can not have. A text or a list without a bound is a fault of its own.
func (d field) nonsense(t *testing.T, of string) map[string]any {
	t.Helper()
	s := d.schema
	bad := map[string]any{}
	switch s.Type {
	case huma.TypeString:
		bad["a number"], bad["an object"], bad["a list"] = 42, map[string]any{"a": 1}, []any{"a"}
		switch {
		case s.MaxLength != nil:
			bad["a text that is too long"] = strings.Repeat("x", *s.MaxLength+1)
		case len(s.Enum) > 0:
			bad["no member"] = "no such member"
		case s.Format == "uuid" || s.Format == "date-time" || s.Format == "email":
			bad["no "+s.Format] = sqlName
		default:
			assert.Fail(t, "a text may be of any length", "%s: %s", of, d.location)
		}
	case huma.TypeInteger, huma.TypeNumber:
		bad["a text"], bad["a truth"] = "1", true
		if s.Maximum != nil {
			bad["a huge number"] = 1e300
		}
		if s.Minimum != nil {
			bad["a small number"] = *s.Minimum - 1
		}
		if s.Type == huma.TypeInteger {
			bad["a fraction"] = 1.5
		}
	case huma.TypeBoolean:
		bad["a text"], bad["a number"] = "true", 1
	case huma.TypeArray:
		bad["a text"], bad["an object"] = "a", map[string]any{"0": "a"}
		if s.MaxItems != nil {
			bad["too many"] = make([]any, *s.MaxItems+1)
		} else {
			assert.Fail(t, "a list may be of any length", "%s: %s", of, d.location)
		}
	case huma.TypeObject:
		bad["a number"], bad["a list"] = 42, []any{}
		if len(s.Properties) > 0 {
			bad["an unknown field"] = map[string]any{"no_such_field": 1}
		}
	}
	return bad
}

// TestEveryFieldOfEverySchemaRefusesNonsense goes by the schemas, so that a field that no example has, of creations and changes
// alike, is looked at as well; the answer has to name the field.
func TestEveryFieldOfEverySchemaRefusesNonsense(t *testing.T) {
	f := signedIn(t)
	f.obliging()
	asked, bodies := 0, 0
	for _, o := range f.operations() {
		if o.RequestBody == nil || o.RequestBody.Content["application/json"] == nil {
			continue
		}
		bodies++
		for _, field := range f.fieldsOf(o.RequestBody.Content["application/json"].Schema, "", func(value any) any { return value }, nil) {
			for what, value := range field.nonsense(t, o.OperationID) {
				asked++
				text, err := json.Marshal(field.in(value))
				require.NoError(t, err)
				answer := f.direct(o.method, o.filled(uuid.NewString()), "application/json", string(text))
				if !assert.Equal(t, http.StatusUnprocessableEntity, answer.status, "%s with %s in %s: %.300s", o.OperationID, what, field.location, answer.text) {
					continue
				}
				where := field.location
				if what == "an unknown field" {
					where += ".no_such_field"
				}
				named := slices.ContainsFunc(answer.problem(http.StatusUnprocessableEntity).Errors, func(e problem.Field) bool { return strings.HasPrefix(e.Location, where) })
				assert.True(t, named, "%s with %s: the answer does not name %s: %.500s", o.OperationID, what, where, answer.text)
			}
		}
	}
	require.Greater(t, bodies, 35)
	require.Greater(t, asked, 1500)
	require.NotContains(t, f.log.String(), "request failed")
	t.Log(fmt.Sprint(asked, " values in ", bodies, " bodies"))
}

// TestEveryIDAndEveryScheduleRefusesWhatIsNone puts ids of nothing and of things of another kind, bad crons and bad time zones into
// the fields of every body that a schema has, beside what its example has.
func TestEveryIDAndEveryScheduleRefusesWhatIsNone(t *testing.T) {
	f := newFixture(t)
	all := f.sendExamples()
	job := f.call("GET", "/api/backup-jobs", nil).ok(200).get("items").([]any)[0].(object)
	kinds, schedules := map[string]bool{}, 0
	for _, operation := range slices.Sorted(maps.Keys(all)) {
		s := all[operation]
		for _, field := range f.fieldsOf(s.RequestBody.Content["application/json"].Schema, "", func(value any) any { return value }, nil) {
			name := field.location[strings.LastIndexByte(field.location, '.')+1:]
			var bad []any
			switch {
			case field.schema.Format == "uuid" && !strings.Contains(name, "job_id"):
				bad = []any{uuid.NewString(), job["id"], uuid.Nil.String()}
			case field.schema.Format == "uuid":
				bad = []any{uuid.NewString(), job["datasource_id"]}
			case name == "schedule_cron":
				bad = []any{"61 * * * *", "* * * *", "* * * * * *", "@never", sqlName, "0 0 31 2 *"}
			case name == "schedule_timezone":
				bad = []any{"Mars/Olympus", "../../etc/passwd", "Local", sqlName}
			}
			for _, value := range bad {
				var document map[string]any
				require.NoError(t, json.Unmarshal([]byte(s.body), &document))
				maps.Copy(document, field.in(value).(map[string]any))
				text, err := json.Marshal(document)
				require.NoError(t, err)
				answer := f.direct(s.method, s.path, "application/json", string(text))
				if assert.Contains(t, []int{404, 409, 422}, answer.status, "%s with %v in %s: %.300s", operation, value, field.location, answer.text) {
					answer.problem(answer.status)
				}
			}
			if len(bad) > 0 && field.schema.Format == "uuid" {
				kinds[name] = true
			} else if len(bad) > 0 {
				schedules++
			}
		}
	}
	require.GreaterOrEqual(t, len(kinds), 5, "%v", kinds)
	require.GreaterOrEqual(t, schedules, 12, "creation and change of three kinds of jobs, two fields each")
}

// TestABodyThatIsNoJSONIsBoundedToo: documents that are not JSON, and operations that take no body at all.
func TestABodyThatIsNoJSONIsBoundedToo(t *testing.T) {
	f := signedIn(t)
	f.obliging()
	large := strings.Repeat("a: b\n", 2<<20)
	others := 0
	for _, o := range f.operations() {
		path := o.filled(uuid.NewString())
		switch {
		case o.RequestBody == nil && o.streams():
			answer := f.call(o.method, path, large) // over a connection, for some have no end
			assert.Less(t, answer.status, 500, "%s: %.300s", o.OperationID, answer.text)
		case o.RequestBody == nil:
			answer := f.direct(o.method, path, "application/json", large)
			assert.Less(t, answer.status, 500, "%s: %.300s", o.OperationID, answer.text)
			if strings.HasPrefix(o.path, "/api/auth/logout") {
				f = f.signIn(ownerEmail, ownerPassword)
			}
		case o.RequestBody.Content["application/json"] == nil:
			others++
			for format := range o.RequestBody.Content {
				f.direct(o.method, path, format, large).problem(http.StatusRequestEntityTooLarge)
				answer := f.direct(o.method, path, format, "a: [")
				assert.Contains(t, []int{400, 422}, answer.status, "%s: %.300s", o.OperationID, answer.text)
			}
			f.direct(o.method, path, "application/x-www-form-urlencoded", "a=b").problem(http.StatusUnsupportedMediaType)
		}
	}
	require.Positive(t, others)
}
