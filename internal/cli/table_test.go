package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// operation is what the test needs of an operation of the OpenAPI document.
type operation struct {
	Parameters []struct {
		Name, In string
	}
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	}
	Responses map[string]struct {
		Content map[string]struct{ Schema schema }
	}
}

type schema struct {
	Ref        string `json:"$ref"`
	Properties map[string]schema
	Items      *schema
	Type       any
	Additional any `json:"additionalProperties"`
	OneOf      []schema
}

type document struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

var parameter = regexp.MustCompile(`\{[A-Za-z]+\}`)

func readDocument(t *testing.T) document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "openapi.json"))
	require.NoError(t, err)
	var d document
	require.NoError(t, json.Unmarshal(text, &d))
	paths := map[string]map[string]operation{}
	for path, item := range d.Paths {
		paths[parameter.ReplaceAllString(path, "{id}")] = item
	}
	d.Paths = paths
	return d
}

func (d document) resolve(s schema) schema {
	for s.Ref != "" || len(s.OneOf) > 0 {
		if len(s.OneOf) > 0 { // what is asked for first, instead of which an approval may be
			s = s.OneOf[0]
			continue
		}
		s = d.Components.Schemas[s.Ref[strings.LastIndex(s.Ref, "/")+1:]]
	}
	return s
}

// has reports whether a schema has a member at a dotted path. A member of any shape has all.
func (d document) has(s schema, path string) bool {
	for name := range strings.SplitSeq(path, ".") {
		s = d.resolve(s)
		if len(s.Properties) == 0 && s.Additional != nil && s.Additional != false {
			return true
		}
		next, found := s.Properties[name]
		if !found {
			return false
		}
		s = next
	}
	return true
}

func (d document) answer(o operation) schema {
	for code, answer := range o.Responses {
		if strings.HasPrefix(code, "2") {
			return d.resolve(answer.Content["application/json"].Schema)
		}
	}
	return schema{}
}

// usualActions are the calls of a resource's verbs.
func usualActions(r resource) []action {
	var out []action
	for _, verb := range r.verbs {
		out = append(out, map[string]action{
			list:   {name: list, method: http.MethodGet, path: r.path, filters: r.filters, columns: r.columns, unpaged: r.unpaged},
			get:    {name: get, method: http.MethodGet, path: r.path + "/{id}"},
			create: {name: create, method: http.MethodPost, path: r.path, fields: r.fields, document: true},
			update: {name: update, method: http.MethodPatch, path: r.path + "/{id}", fields: r.fields, document: true},
			remove: {name: remove, method: http.MethodDelete, path: r.path + "/{id}"},
		}[verb])
	}
	return out
}

func TestEveryCommandIsAnOperationOfTheAPI(t *testing.T) {
	d := readDocument(t)
	names := map[string]bool{}
	for _, r := range resources() {
		require.False(t, names[r.name], "two resources are called %s", r.name)
		names[r.name] = true
		for _, a := range append(usualActions(r), r.actions...) {
			t.Run(r.name+" "+a.name, func(t *testing.T) { d.check(t, a) })
		}
	}
}

func (d document) check(t *testing.T, a action) {
	method := a.method
	if a.columns != nil {
		method = http.MethodGet
	}
	o, found := d.Paths[a.path][strings.ToLower(method)]
	require.True(t, found, "the API has no %s %s", method, a.path)
	parameters := map[string]bool{}
	for _, p := range o.Parameters {
		if p.In == "query" {
			parameters[p.Name] = true
		}
	}
	for _, f := range a.filters {
		require.True(t, parameters[f.path], "%s has no query parameter %s", a.path, f.path)
	}
	body := d.resolve(o.RequestBody.Content["application/json"].Schema)
	for _, f := range a.fields {
		require.True(t, d.has(body, f.path), "the body of %s %s has no %s", method, a.path, f.path)
	}
	for name := range a.fixed {
		require.True(t, d.has(body, name), "the body of %s %s has no %s", method, a.path, name)
	}
	if a.of != "" {
		_, err := resourceNamed(a.of)
		require.NoError(t, err)
	}
	for _, f := range append(append([]field{}, a.fields...), a.filters...) {
		if f.of != "" {
			_, err := resourceNamed(f.of)
			require.NoError(t, err)
		}
	}
	if a.columns == nil {
		return
	}
	require.Equal(t, !a.unpaged, parameters["cursor"], "whether the list has pages")
	items := d.answer(o).Properties["items"].Items
	require.NotNil(t, items, "the answer of %s is no list", a.path)
	for _, c := range a.columns {
		require.True(t, d.has(*items, c.path), "an item of %s has no %s", a.path, c.path)
	}
}

func TestEveryFlagSaysWhatItIsFor(t *testing.T) {
	for _, r := range resources() {
		fields := append(append([]field{}, r.fields...), r.filters...)
		for _, a := range r.actions {
			fields = append(append(fields, a.fields...), a.filters...)
		}
		for _, f := range fields {
			require.NotEmpty(t, f.usage+strings.Join(f.values, ""), "%s --%s", r.name, f.flag)
		}
	}
}
