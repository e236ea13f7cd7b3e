package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// notOurs are fields whose names end like those of our ids: a provider made them, and they stay as they are written.
var notOurs = []string{"access_key_id", "application_key_id", "phone_number_id", "sse_kms_key_id", "Last_Event_ID"}

// holdsID reports whether a field is lowered.
func holdsID(schema *huma.Schema) bool {
	return schema.Type == huma.TypeString && (schema.Format == idFormat || schema.Format == maybeIDFormat)
}

// TestEveryFieldThatNamesAThingIsKnownToHoldAnID: by its format it is lowered.
func TestEveryFieldThatNamesAThingIsKnownToHoldAnID(t *testing.T) {
	f := newFixture(t)
	named := regexp.MustCompile(`(?i)(^|_)ids?(\[0\])?$|Id$`)
	known := 0
	check := func(of, name string, schema *huma.Schema) {
		if schema.Type != huma.TypeString || !named.MatchString(name) || slices.Contains(notOurs, name) {
			return
		}
		known++
		assert.True(t, holdsID(schema), "%s: %s says by no format that it holds an id", of, name)
	}
	for _, o := range f.operations() {
		for _, p := range o.Parameters {
			check(o.OperationID, strings.ReplaceAll(p.Name, "-", "_"), p.Schema)
		}
		if o.RequestBody == nil || o.RequestBody.Content["application/json"] == nil {
			continue
		}
		for _, field := range f.fieldsOf(o.RequestBody.Content["application/json"].Schema, "", func(value any) any { return value }, nil) {
			check(o.OperationID, field.location[strings.LastIndexByte(field.location, '.')+1:], field.schema)
		}
	}
	require.Greater(t, known, 150)
}

// idWalk sends ids wherever the document has a place for one.
type idWalk struct {
	*book
	walkFrom
}

// thing is the id of one that a field, a parameter or a path names.
func (w *idWalk) thing(path, name string) string {
	switch name {
	case "user_id", "actor":
		path = usersPath + "/"
	case "role_id":
		path = rolesPath + "/"
	case "channel_id":
		path = "/api/notification-channels/"
	case "notification_id":
		path = "/api/notifications/"
	}
	for prefix, id := range w.things {
		if strings.HasPrefix(path, prefix) {
			return id
		}
	}
	for _, word := range []string{"execution", "job", "storage", "datasource", "entity", "resource"} {
		if strings.Contains(strings.ToLower(name), word) {
			if word == "entity" || word == "resource" {
				word = "datasource"
			}
			return w.seeds[word]
		}
	}
	for _, part := range []string{"backup-jobs", "db-sync-jobs", "storage", "datasources", "executions", "backups"} {
		if strings.Contains(path, "/"+part) {
			return w.seeds[map[string]string{"backup-jobs": "job", "storage": "storage", "datasources": "datasource", "executions": "execution", "backups": "execution"}[part]]
		}
	}
	return w.seeds["execution"]
}

// place is where a request may have an id: in its path (as it is), or in what it adds.
type place struct {
	name   string
	query  url.Values
	header http.Header
	body   any
}

func (w *idWalk) places(o walked) []place {
	var out []place
	if strings.Contains(o.path, "{id}") || strings.Contains(o.path, "{executionId}") {
		out = append(out, place{name: "path"})
	}
	for _, p := range o.Parameters {
		if !holdsID(p.Schema) {
			continue
		}
		switch id := w.thing("", p.Name); p.In {
		case "query":
			out = append(out, place{name: "query." + p.Name, query: url.Values{p.Name: {id}}})
		case "header":
			out = append(out, place{name: "header." + p.Name, header: http.Header{p.Name: {id}}})
		}
	}
	if o.RequestBody == nil || o.RequestBody.Content["application/json"] == nil {
		return out
	}
	for _, field := range w.fieldsOf(o.RequestBody.Content["application/json"].Schema, "", func(value any) any { return value }, nil) {
		if holdsID(field.schema) {
			name := field.location[strings.LastIndexByte(field.location, '.')+1:]
			out = append(out, place{name: "body." + field.location, body: field.in(w.thing("", strings.TrimSuffix(name, "s[0]")))})
		}
	}
	return out
}

// send makes a request of an operation, with an id in one more place, and with all its ids written by fold.
func (w *idWalk) send(t *testing.T, o walked, at place, fold func(string) string) reply {
	t.Helper()
	a := attempt{path: o.path}
	if makes := w.makes[o.OperationID]; makes != nil {
		a = makes()
	} else if o.RequestBody != nil {
		a.body = json.RawMessage(requestExamples[o.OperationID])
	}
	caller := w.fixture
	if a.of != nil {
		caller = a.of
	}
	for _, name := range []string{"{id}", "{executionId}"} {
		a.path = strings.ReplaceAll(a.path, name, w.thing(o.path, ""))
	}
	a.path = strings.ReplaceAll(a.path, "{part}", "1")
	target, err := url.Parse(a.path)
	require.NoError(t, err)
	query := target.Query()
	for name, values := range at.query {
		query[name] = values
	}
	var body []byte
	if a.body != nil {
		document := generic(t, a.body)
		if at.body != nil {
			document = laidOver(generic(t, at.body), document) // what the book sends stays
		}
		body, err = json.Marshal(document)
		require.NoError(t, err)
	} else if at.body != nil {
		body, err = json.Marshal(at.body)
		require.NoError(t, err)
	}
	path := fold(target.Path)
	if q := query.Encode(); q != "" {
		path += "?" + fold(q)
	}
	sent := quotedID.ReplaceAllStringFunc(string(body), fold) // names that have one in them stay
	request := httptest.NewRequest(o.method, path, strings.NewReader(sent))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+caller.token)
	for name, values := range at.header {
		request.Header.Set(name, fold(values[0]))
	}
	answer := caller.serve(t, o, request)
	return reply{t, answer.Code, answer.Header(), answer.Body.String()}
}

var (
	quotedID = regexp.MustCompile(`"` + anyID.String() + `"`)
	upperID  = regexp.MustCompile(`[0-9A-F]{8}-([0-9A-F]{4}-){3}[0-9A-F]{12}`)
	eachTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|"(expires|started|finished)_?[a-z]*":"[^"]*"|thing \d+|"generation":"[0-9a-f]*"|"version":\d+|"[a-z_]*(bytes|_ms|seconds)":\d+`)
)

// alike is an answer without what differs between two requests that ask for the same of two things.
func alike(answer reply) string {
	return fmt.Sprint(answer.status, " ", eachTime.ReplaceAllString(anyID.ReplaceAllString(answer.text, "ID"), "T"))
}

// TestAnIDMayBeWrittenInUpperCase walks the document: each place of each operation that takes an id gets one, once as it was given
// out and once in upper case. The answers are the same, and nothing that was stored, audited or asked of Temporal is in upper case.
func TestAnIDMayBeWrittenInUpperCase(t *testing.T) {
	w := &idWalk{book: newBook(t)}
	w.t = t
	w.seed(w.fixture, 0)
	w.seedMore(w.book)
	upper := func(text string) string { return anyID.ReplaceAllStringFunc(text, strings.ToUpper) }
	tried, taken := 0, 0
	for _, o := range w.operations() {
		for _, at := range w.places(o) {
			lower := w.send(t, o, at, func(text string) string { return text })
			raised := w.send(t, o, at, upper)
			where := o.OperationID + " " + at.name
			assert.Equal(t, alike(lower), alike(raised), where)
			assert.NotRegexp(t, upperID, raised.text, where)
			if tried++; lower.status < http.StatusMultipleChoices {
				taken++
			} else {
				t.Logf("%s: %d %.200s", where, lower.status, lower.text)
			}
		}
	}
	require.Greater(t, tried, 130)
	require.Greater(t, taken*10, tried*7, "of %d places %d were taken", tried, taken)
	for _, call := range w.temporal.Calls {
		for _, argument := range call.Arguments {
			if _, isContext := argument.(context.Context); !isContext {
				assert.NotRegexp(t, upperID, fmt.Sprintf("%+v", argument), call.Method)
			}
		}
	}
	for name, text := range w.texts(t) {
		assert.NotRegexp(t, upperID, text, name)
	}
}

// texts is all that is stored, by table.
func (f *fixture) texts(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	conn := f.connect()
	for name := range contents(t, conn) {
		var text string
		require.NoError(t, conn.QueryRow(t.Context(), fmt.Sprintf(`SELECT coalesce(string_agg(to_jsonb(t)::text, E'\n'), '') FROM %s t`, name)).Scan(&text))
		out[name] = text
	}
	var trail string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT coalesce(string_agg(to_jsonb(t)::text, E'\n'), '') FROM audit_logs t`).Scan(&trail))
	out["audit_logs"] = trail
	return out
}
