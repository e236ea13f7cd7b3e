package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/api/problem"
)

// tooLong is a text that a parameter can not be: one more than its bound, or what is none of its members or of its format.
func tooLong(t *testing.T, of string, s *huma.Schema) string {
	t.Helper()
	switch {
	case s.MaxLength != nil:
		return strings.Repeat("x", *s.MaxLength+1)
	case len(s.Enum) > 0 || s.Format == "uuid" || s.Format == "date-time":
		return strings.Repeat("x", 5000)
	}
	assert.Fail(t, "a parameter may be of any length", of)
	return strings.Repeat("x", 5000)
}

// TestEveryParameterRefusesATextThatIsTooLong walks the document: every text in a path, a query or a header has a bound, and beyond
// it the answer is 422 and names the parameter.
func TestEveryParameterRefusesATextThatIsTooLong(t *testing.T) {
	f := signedIn(t)
	f.obliging()
	asked := map[string]int{}
	for _, o := range f.operations() {
		for _, p := range o.Parameters {
			if p.Schema.Type != huma.TypeString || p.In == "cookie" {
				continue
			}
			asked[p.In]++
			where := p.In + "." + p.Name
			text := tooLong(t, o.OperationID+" "+where, p.Schema)
			path := o.path
			for _, other := range o.Parameters {
				value := uuid.NewString()
				if other == p {
					value = text
				}
				path = strings.ReplaceAll(path, "{"+other.Name+"}", value)
			}
			body := ""
			if o.RequestBody != nil {
				body = "{}"
			}
			request := httptest.NewRequest(o.method, path, strings.NewReader(body))
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", "Bearer "+f.token)
			switch p.In {
			case "query":
				request.URL.RawQuery = url.Values{p.Name: {text}}.Encode()
			case "header":
				request.Header.Set(p.Name, text)
			}
			answer := f.serve(t, o, request)
			told := reply{t, answer.Code, answer.Header(), answer.Body.String()}
			if !assert.Equal(t, http.StatusUnprocessableEntity, told.status, "%s %s: %.300s", o.OperationID, where, told.text) {
				continue
			}
			named := slices.ContainsFunc(told.problem(http.StatusUnprocessableEntity).Errors, func(e problem.Field) bool { return e.Location == where })
			assert.True(t, named, "%s: the answer does not name %s: %.300s", o.OperationID, where, told.text)
		}
	}
	require.Greater(t, asked["query"], 80)
	require.Greater(t, asked["path"], 60)
	require.Greater(t, asked["header"], 20)
	require.NotContains(t, f.log.String(), "request failed")
}
