package api

import (
	"net/http"
	"slices"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wholeLists are lists without pages, each with what bounds it.
var wholeLists = map[string]string{
	"list-permissions": "there are as many as the program knows", "list-role-permissions": "as list-permissions", "list-user-roles": "roles of one user",
	"list-execution-logs": "the newest 1,000 lines are kept", "list-sync-execution-logs": "as list-execution-logs", "list-drill-execution-logs": "as list-execution-logs",
	"list-drill-times": "the last 100 are shown", "list-identities": "an identity is imported by hand from a lost installation", "list-recipients": "as list-identities",
	"list-settings": "as list-permissions",
}

func (f *fixture) properties(schema *huma.Schema) map[string]*huma.Schema {
	for schema.Ref != "" {
		schema = f.server.api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	return schema.Properties
}

func (o walked) takes(in, name string) bool {
	return slices.ContainsFunc(o.Parameters, func(p *huma.Param) bool { return p.In == in && p.Name == name })
}

// TestTheConventionsHoldForEveryOperation walks the document for what docs/api.md says of all lists, changes and starts. What else it
// says there has walks of its own: errors, bodies, parameters, lost updates, forged tokens.
func TestTheConventionsHoldForEveryOperation(t *testing.T) {
	b := newBook(t)
	backup := b.backup()
	lists, starts := 0, 0
	for _, o := range b.operations() {
		if o.method == http.MethodPatch {
			assert.True(t, o.takes("header", "If-Match"), "%s can not be bound to a version", o.OperationID)
		}
		declared := b.server.declared[o.method+" "+ginPath(o.path)]
		if made := o.Responses["201"] != nil || o.Responses["202"] != nil && o.Responses["200"] == nil && o.Responses["204"] == nil; o.method == http.MethodPost && made && declared.public == "" && !declared.person {
			starts++
			assert.True(t, o.takes("header", idempotencyHeader), "%s can not be repeated without fear", o.OperationID)
		}
		if answer := o.Responses["200"]; o.method != http.MethodGet || answer == nil || answer.Content["application/json"] == nil {
			continue
		}
		properties := b.properties(o.Responses["200"].Content["application/json"].Schema)
		if properties["items"] == nil {
			assert.Empty(t, wholeLists[o.OperationID], o.OperationID)
			continue
		}
		if wholeLists[o.OperationID] != "" {
			assert.Nil(t, properties["next_cursor"], o.OperationID)
			continue
		}
		lists++
		assert.NotNil(t, properties["next_cursor"], "%s has no pages", o.OperationID)
		assert.True(t, o.takes("query", "cursor"), o.OperationID)
		path := o.filled(backup) // what is there or not: what is asked for is looked at first
		for _, limit := range []string{"0", "201", "-1", "x"} {
			b.direct(o.method, path+"?limit="+limit, "", "").wrong("query.limit")
		}
	}
	require.Greater(t, lists, 25)
	require.Greater(t, starts, 20)
}

func TestAnAnswerNamesItsRequest(t *testing.T) {
	f := signedIn(t)
	for _, path := range []string{"/api/datasources", "/api/no-such-path", "/healthz", "/api/datasources/x"} {
		require.Equal(t, "my-request.1", f.call("GET", path, nil, "X-Request-Id", "my-request.1").header.Get("X-Request-Id"), path)
		made := f.call("GET", path, nil, "X-Request-Id", "not an id").header.Get("X-Request-Id")
		require.Regexp(t, "^[0-9a-f-]{36}$", made, path)
	}
}
