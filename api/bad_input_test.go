package api

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/auth"
)

// direct sends a request without a network, as it is.
func (f *fixture) direct(method, path, contentType, body string, headers ...string) reply {
	request := httptest.NewRequest(method, path, bytes.NewReader([]byte(body)))
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Authorization", "Bearer "+f.token)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	f.server.engine.ServeHTTP(answer, request)
	return reply{f.t, answer.Code, answer.Header(), answer.Body.String()}
}

// filled is the path of an operation with this in the place of each parameter.
func (o walked) filled(value string) string {
	path := o.path
	for _, p := range o.Parameters {
		path = strings.ReplaceAll(path, "{"+p.Name+"}", value)
	}
	return path
}

func TestEveryOperationRefusesABodyThatIsNone(t *testing.T) {
	f := signedIn(t)
	f.obliging()
	asked := 0
	for _, o := range f.operations() {
		if o.RequestBody == nil || o.RequestBody.Content["application/json"] == nil {
			continue
		}
		asked++
		path := o.filled(uuid.NewString())
		for name, test := range map[string]struct {
			contentType, body string
			want              []int
		}{
			"no JSON":             {"application/json", `{"a": `, []int{400}},
			"two documents":       {"application/json", `{} {}`, []int{400}},
			"a NUL":               {"application/json", `{"name": "a\u0000b"}`, []int{400}},
			"a list":              {"application/json", `[1, 2]`, []int{422}},
			"a number":            {"application/json", `42`, []int{422}},
			"an unknown field":    {"application/json", `{"no_such_field_of_any_document": 1}`, []int{422}},
			"a form":              {"application/x-www-form-urlencoded", `name=a`, []int{415}},
			"10 MB":               {"application/json", `{"name": "` + strings.Repeat("x", 10<<20) + `"}`, []int{413}},
			"deeply nested lists": {"application/json", strings.Repeat("[", 20000) + strings.Repeat("]", 20000), []int{400, 422}},
		} {
			answer := f.direct(o.method, path, test.contentType, test.body)
			require.Contains(t, test.want, answer.status, "%s %s with %s: %.300s", o.method, o.path, name, answer.text)
			answer.problem(answer.status)
		}
	}
	require.Greater(t, asked, 20)
}

func TestEveryOperationRefusesIDsThatAreNone(t *testing.T) {
	f := signedIn(t)
	f.obliging()
	job, datasource, storage := f.job("orders")
	ids := []string{
		"1", "null", "x' OR '1'='1", strings.Repeat("a", 3000), "..%2f..%2fetc%2fpasswd", "%00", "01a2-", "{id}",
		uuid.NewString(), uuid.Nil.String(), job, datasource, storage,
	}
	for _, o := range f.operations() {
		if !strings.Contains(o.path, "{") {
			continue
		}
		for _, id := range ids {
			if resourceOf(o.path) == map[string]string{job: "job", datasource: "datasource", storage: "storage"}[id] {
				continue // it is there
			}
			answer := f.direct(o.method, strings.ReplaceAll(o.filled(id), " ", "%20"), "application/json", `{}`, "Last-Event-ID", "none")
			require.Contains(t, []int{400, 404, 405, 422}, answer.status, "%s %s with %.40s: %.300s", o.method, o.path, id, answer.text)
			answer.problem(answer.status)
		}
	}
	require.NotEmpty(t, f.call("GET", "/api/backup-jobs/"+job, nil).ok(200).text, "nothing of it did anything")
	require.NotEmpty(t, f.call("GET", "/api/datasources/"+datasource, nil).ok(200).text)
}

// resourceOf says what the ids of a path are of.
func resourceOf(path string) string {
	for prefix, kind := range map[string]string{
		"/api/backup-jobs/": "job", "/api/datasources/": "datasource", "/api/backups/datasources/": "datasource", "/api/storage-locations/": "storage",
		"/api/health/datasources/": "datasource", "/api/health/storage/": "storage",
	} {
		if strings.HasPrefix(path, prefix) {
			return kind
		}
	}
	return "other"
}

func TestEveryOperationRefusesForgedAndExpiredTokens(t *testing.T) {
	f := signedIn(t)
	owner := f.call("GET", "/api/auth/me", nil).ok(200).get("id").(string)
	forged, _, err := auth.NewToken()
	require.NoError(t, err)
	apiToken := f.call("POST", tokensPath, object{"name": "ci", "permissions": []string{"datasources.read"}}).ok(201).get("token").(string)
	_, err = f.connect().Exec(t.Context(), "UPDATE api_tokens SET expires_at = now() - interval '1 second'")
	require.NoError(t, err)
	tokens := map[string]string{
		"an expired one of a script": apiToken, "a forged one of a script": "dgt_" + strings.Repeat("A", 43), "forged": forged, "expired": f.session(owner, time.Now().Add(-time.Minute)), "empty": "", "SQL": "' OR 1=1 --", "long": strings.Repeat("a", 10000),
	}
	for _, o := range f.operations() {
		if len(o.Security) == 0 {
			continue
		}
		for name, token := range tokens {
			caller := *f
			caller.token = token
			answer := caller.direct(o.method, o.filled(uuid.NewString()), "application/json", `{"a": `)
			require.Equal(t, http.StatusUnauthorized, answer.status, "%s %s with a token that is %s", o.method, o.path, name)
			answer.problem(http.StatusUnauthorized)
		}
	}
}

func TestEveryQueryParameterRefusesNonsense(t *testing.T) {
	f := signedIn(t)
	f.obliging()
	job, _, _ := f.job("orders")
	for _, o := range f.operations() {
		for _, p := range o.Parameters {
			anyText := p.Schema.Format == "" || p.Schema.Format == "id" // which is an id or something else
			if p.In != "query" || p.Schema.Type == huma.TypeString && anyText && len(p.Schema.Enum) == 0 && p.Name != "cursor" {
				continue
			}
			answer := f.direct(o.method, o.filled(job)+"?"+p.Name+"=%27%3B+DROP+TABLE+users%3B--", "application/json", `{}`)
			require.Contains(t, []int{404, 422}, answer.status, "%s %s?%s: %.300s", o.method, o.path, p.Name, answer.text)
			answer.problem(answer.status)
		}
	}
}

func TestOneOfManyConcurrentEditsWins(t *testing.T) {
	f := signedIn(t)
	job, _, _ := f.job("orders")
	tag := f.call("GET", "/api/backup-jobs/"+job, nil).ok(200).header.Get("ETag")
	var all sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		all.Go(func() {
			statuses[i] = f.call("PATCH", "/api/backup-jobs/"+job, object{"name": fmt.Sprint("edit ", i)}, "If-Match", tag).status
		})
	}
	all.Wait()
	won := 0
	for _, status := range statuses {
		if status == http.StatusOK {
			won++
			continue
		}
		require.Equal(t, http.StatusPreconditionFailed, status)
	}
	require.Equal(t, 1, won)
}

// TestEveryChangeRefusesALostUpdate: what can be changed has versions, each change can be bound to one, and of many at once
// that are bound to the same one takes place.
func TestEveryChangeRefusesALostUpdate(t *testing.T) {
	f := newFixture(t)
	all := f.sendExamples()
	tags := map[string]string{} // of the things that are changed, by path
	asked := 0
	for _, o := range f.operations() {
		bound := slices.ContainsFunc(o.Parameters, func(p *huma.Param) bool { return p.Name == "If-Match" })
		if o.method == http.MethodPatch {
			require.True(t, bound, "%s can not be bound to a version", o.OperationID)
		}
		s, isSent := all[o.OperationID]
		if !bound || !isSent {
			continue
		}
		asked++
		read := f.call("GET", strings.TrimSuffix(strings.TrimSuffix(s.path, "/roles"), "/permissions"), nil).ok(200)
		tags[s.path] = read.header.Get("ETag")
		require.NotEmpty(t, tags[s.path], "%s has no version", s.path)
		f.direct(s.method, s.path, "application/json", s.body, "If-Match", `"999999"`).problem(http.StatusPreconditionFailed)
		if s.path == "/api/system/settings" {
			continue // its tag is that of the state, which the same change leaves as it is; TestSettings… has two that differ
		}
		f.direct(s.method, s.path, "application/json", s.body, "If-Match", "3").wrong("header.If-Match")
		var together sync.WaitGroup
		statuses := make([]int, 6)
		for i := range statuses {
			together.Go(func() {
				statuses[i] = f.direct(s.method, s.path, "application/json", s.body, "If-Match", tags[s.path]).status
			})
		}
		together.Wait()
		slices.Sort(statuses)
		require.Less(t, statuses[0], 300, s.OperationID)
		require.Equal(t, slices.Repeat([]int{http.StatusPreconditionFailed}, len(statuses)-1), statuses[1:], s.OperationID)
	}
	require.Greater(t, asked, 8)
	for _, o := range f.operations() {
		s := all[strings.Replace(o.OperationID, "delete-", "update-", 1)]
		if o.method == http.MethodDelete && s.path != "" && o.path == s.walked.path && strings.HasPrefix(o.OperationID, "delete-") {
			f.direct(o.method, s.path, "application/json", "", "If-Match", tags[s.path]).problem(http.StatusPreconditionFailed)
			f.call("GET", s.path, nil).ok(200)
		}
	}
}

// The decoders of what clients send: none may panic, and what is refused is refused with an error.

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"a": ["\u0000", {"b\u0000": 1}]}`))
	f.Add([]byte(`[[[[1e999]]]]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var untyped any
		if err := unmarshal(data, &untyped); err == nil {
			require.False(t, hasNUL(untyped))
		}
	})
}

func FuzzIfMatch(f *testing.F) {
	for _, seed := range []string{`"3"`, `*`, `W/"1"`, `"-1"`, `"`, `""`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		version, err := ifMatch(header)
		require.GreaterOrEqual(t, version, int64(0))
		if err != nil {
			require.Zero(t, version)
		}
	})
}
