package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/assert"
)

// faultsOf are what an answer has that the document does not allow, in words; none for what is no JSON.
func (o walked) faultsOf(registry huma.Registry, status int, header http.Header, body string) []string {
	format, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	if format != "application/json" && format != "application/problem+json" {
		return nil
	}
	described := o.Responses[strconv.Itoa(status)]
	if described == nil || described.Content[format] == nil {
		return []string{fmt.Sprintf("the document has no %s for %d", format, status)}
	}
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		return []string{err.Error()}
	}
	result := &huma.ValidateResult{}
	huma.Validate(registry, described.Content[format].Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, value, result)
	var faults []string
	for _, err := range result.Errors {
		faults = append(faults, err.Error())
	}
	return faults
}

var anyPathParameter = regexp.MustCompile(`\\\{[^/]+\\\}`)

// routes finds the operation of a request.
type routes []struct {
	walked
	path *regexp.Regexp
}

func (f *fixture) routes() routes {
	var all routes
	for _, o := range f.operations() {
		pattern := anyPathParameter.ReplaceAllString(regexp.QuoteMeta(o.path), `[^/]+`)
		all = append(all, struct {
			walked
			path *regexp.Regexp
		}{o, regexp.MustCompile("^" + pattern + "$")})
	}
	return all
}

// find is the operation of a path: of two that fit the one without a parameter there.
func (all routes) find(method, target string) (walked, bool) {
	path, _, _ := strings.Cut(target, "?")
	var found walked
	for _, route := range all {
		if route.method == method && route.path.MatchString(path) && (found.Operation == nil || strings.Count(route.walked.path, "{") < strings.Count(found.path, "{")) {
			found = route.walked
		}
	}
	return found, found.Operation != nil
}

// holdToDocument fails the test when an answer is not as the document says: every call of every test is held to it.
func (f *fixture) holdToDocument(method, target string, answer reply) {
	f.t.Helper()
	if answer.status >= http.StatusMultipleChoices {
		return // of errors TestEveryErrorIsAProblem and the walk know
	}
	if o, known := f.known.find(method, target); known {
		assert.Empty(f.t, o.faultsOf(f.server.api.OpenAPI().Components.Schemas, answer.status, answer.header, answer.text), "%s %s answers what the document does not say: %.600s", method, target, answer.text)
	}
}
