package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/api/middleware"
)

func TestEveryErrorIsAProblem(t *testing.T) {
	f := signedIn(t)
	for name, tc := range map[string]struct {
		method, path string
		body         any
		status       int
		location     string
	}{
		"a path that does not exist":           {"GET", "/api/nothing", nil, 404, ""},
		"a path outside the API":               {"GET", "/", nil, 404, ""},
		"a trailing slash":                     {"GET", "/api/datasources/", nil, 404, ""},
		"a method that the path does not take": {"PUT", "/api/datasources", nil, 405, ""},
		"a missing asset of the reference":     {"GET", "/api/docs/none.js", nil, 404, ""},
		"malformed JSON":                       {"POST", "/api/datasources", `{"name": `, 400, "body"},
		"two documents":                        {"POST", "/api/datasources", `{} {}`, 400, "body"},
		"no body":                              {"POST", "/api/datasources", nil, 400, ""},
		"a list instead of an object":          {"POST", "/api/datasources", `[]`, 422, "body"},
		"an unknown field":                     {"POST", "/api/datasources", `{"nmae": 1}`, 422, "nmae"},
		"an unknown field inside":              {"POST", "/api/datasources", `{"connection_config": {"hots": 1}}`, 422, "connection_config.hots"},
		"a NUL in a text":                      {"POST", "/api/auth/login", `{"email": "a\u0000b", "password": "x"}`, 400, ""},
		"a NUL in a list":                      {"POST", "/api/datasources", `{"tags": ["\u0000"]}`, 400, ""},
		"a NUL in the name of a field":         {"POST", "/api/datasources", `{"\u0000": 1}`, 400, ""},
		"a wrong type":                         {"POST", "/api/datasources", `{"connection_config": {"port": "x"}}`, 422, "connection_config.port"},
		"an unknown query parameter":           {"GET", "/api/datasources?nmae=x", nil, 422, "query.nmae"},
		"a limit that is too high":             {"GET", "/api/datasources?limit=100000", nil, 422, "query.limit"},
		"a cursor that is none":                {"GET", "/api/datasources?cursor=%27%3B--", nil, 422, "query.cursor"},
		"an id that is none":                   {"GET", "/api/datasources/abc", nil, 422, "path.id"},
		"an id of nothing":                     {"GET", "/api/datasources/" + uuid.NewString(), nil, 404, ""},
		"a time that is none":                  {"GET", "/api/executions?from=yesterday", nil, 422, "query.from"},
		"a body of 10 MB":                      {"POST", "/api/datasources", `{"name": "` + strings.Repeat("x", 10<<20) + `"}`, 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := *f
			f.t = t
			answer := f.call(tc.method, tc.path, tc.body)
			answer.problem(tc.status)
			if tc.location != "" && tc.status == 422 {
				answer.wrong(tc.location)
			}
		})
	}
	t.Run("a body that is not JSON", func(t *testing.T) {
		f.call("POST", "/api/datasources", "name=x", "Content-Type", "text/plain").problem(415)
	})
	t.Run("a body of 10 MB without an announced length", func(t *testing.T) {
		request, err := http.NewRequest("POST", f.http.URL+"/api/datasources", io.MultiReader(strings.NewReader(`"`), strings.NewReader(strings.Repeat("x", 10<<20))))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+f.token)
		answer, err := f.http.Client().Do(request)
		require.NoError(t, err)
		defer func() { require.NoError(t, answer.Body.Close()) }()
		require.Equal(t, 413, answer.StatusCode)
	})
}

func TestAPanicIsAProblemThatTellsNothing(t *testing.T) {
	f := newFixture(t)
	f.server.engine.GET("/boom", func(*gin.Context) { panic("the inside of the server") })
	answer := f.call("GET", "/boom", nil, "X-Request-Id", "look-for-me")
	p := answer.problem(500)
	require.NotContains(t, answer.text, "inside")
	require.Contains(t, p.Detail, "look-for-me")
	require.Contains(t, f.log.String(), "the inside of the server")
}

func TestAnswersCarrySecurityHeaders(t *testing.T) {
	f := newFixture(t)
	answer := f.call("GET", "/healthz", nil, "X-Request-Id", "bad id with spaces")
	answer.ok(200)
	headers := map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Strict-Transport-Security": "",
	}
	refused := f.call("POST", "/api/datasources", object{})
	refused.problem(http.StatusUnauthorized)
	for name, value := range headers {
		require.Equal(t, value, answer.header.Get(name), name)
		require.Equal(t, value, refused.header.Get(name), name)
	}
	secure := *f
	secure.http = httptest.NewTLSServer(f.server.engine)
	t.Cleanup(secure.http.Close)
	headers["Strict-Transport-Security"] = "max-age=31536000"
	for _, path := range []string{"/healthz", "/api/auth/status", "/api/no-such-thing", "/api/docs"} {
		answer := secure.call("GET", path, nil)
		if path == "/api/docs" {
			headers["Content-Security-Policy"], headers["Cache-Control"] = middleware.DocsPolicy, "no-cache"
		}
		for name, value := range headers {
			require.Equal(t, value, answer.header.Get(name), "%s of %s", name, path)
		}
	}
	require.NotContains(t, answer.header.Get("X-Request-Id"), " ", "an id that could forge log lines is replaced")
}

func TestTheReferencePageLoadsNothingFromElsewhere(t *testing.T) {
	f := newFixture(t)
	page := f.call("GET", "/api/docs", nil).ok(200)
	require.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'self'")
	assets := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.text, -1)
	require.NotEmpty(t, assets)
	for _, asset := range assets {
		require.True(t, strings.HasPrefix(asset[1], "/api/docs/"), "%s is not local", asset[1])
		f.call("GET", asset[1], nil).ok(200)
	}
	for _, address := range regexp.MustCompile(`https?://[a-z0-9]`).FindAllString(page.text, -1) {
		t.Errorf("the page names the address %s", address)
	}
	require.Contains(t, page.text, openapiPath)
	f.call("GET", openapiPath, nil).ok(200)
	require.Contains(t, f.call("GET", "/api/openapi.yaml", nil).ok(200).text, "openapi:")
}
