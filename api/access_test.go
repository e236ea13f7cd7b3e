package api

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/auth"
)

var pathParameter = regexp.MustCompile(`:[A-Za-z]+|\*[a-z]+`)

func TestEveryRouteDeclaresWhoMayCallIt(t *testing.T) {
	f := signedIn(t)
	nobody, known := f.as(), map[string]*fixture{}
	with := func(t *testing.T, permissions ...auth.Permission) *fixture { // somebody who holds these, one for all routes
		if name := fmt.Sprint(permissions); known[name] == nil {
			known[name] = f.as(permissions...)
		}
		who := *known[fmt.Sprint(permissions)]
		who.t = t
		return &who
	}
	routes := f.server.engine.Routes()
	require.Greater(t, len(routes), 30)
	for _, route := range routes {
		t.Run(route.Method+" "+route.Path, func(t *testing.T) {
			declared, ok := f.server.declared[route.Method+" "+route.Path]
			require.True(t, ok, "the route was added around register")
			require.True(t, declared.declared())
			path := pathParameter.ReplaceAllStringFunc(route.Path, func(parameter string) string {
				if strings.HasPrefix(parameter, "*") {
					return "swagger-ui.css"
				}
				return uuid.NewString()
			})
			if declared.public != "" {
				return
			}
			anonymous := *f
			anonymous.t, anonymous.token = t, ""
			refused := anonymous.call(route.Method, path, nil)
			refused.problem(http.StatusUnauthorized)
			require.Contains(t, refused.header.Get("WWW-Authenticate"), "Bearer")
			if declared.signedIn {
				return
			}
			stranger := *nobody
			stranger.t = t
			p := stranger.call(route.Method, path, nil).problem(http.StatusForbidden)
			require.Contains(t, p.Detail, string(declared.anyOf[0]))
			allElse := slices.DeleteFunc(auth.Permissions(), func(p auth.Permission) bool { return slices.Contains(declared.anyOf, p) })
			p = with(t, allElse...).call(route.Method, path, nil).problem(http.StatusForbidden)
			require.Contains(t, p.Detail, string(declared.anyOf[0]))
			for _, permission := range declared.anyOf {
				answer := with(t, permission).call(route.Method, path, nil, "Last-Event-ID", "none") // which a stream of everything refuses: it would not end
				require.NotEqual(t, http.StatusUnauthorized, answer.status, answer.text)
				if answer.status == http.StatusForbidden {
					require.Contains(t, answer.text, secondPermission[route.Path], "no other operation asks for another permission besides")
				}
			}
		})
	}
	require.NotEmpty(t, f.audits("access.refused"))
}

// secondPermission is what an operation asks for besides the permission that lets its caller in.
var secondPermission = map[string]string{
	"/api/backups/:executionId/restore":  string(auth.BackupsRestore), // by the kind of restore
	"/api/backups/:executionId/download": string(auth.BackupsRead),
}

func TestEveryOperationOfTheDocumentIsDeclared(t *testing.T) {
	f := newFixture(t)
	for path, item := range f.server.api.OpenAPI().Paths {
		for method := range operationsOf(item) {
			require.Contains(t, f.server.declared, method+" "+ginPath(path))
		}
	}
}

// operationsOf are the operations of a path, by method.
func operationsOf(item *huma.PathItem) map[string]*huma.Operation {
	out := map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPatch: item.Patch, http.MethodPut: item.Put, http.MethodDelete: item.Delete,
	}
	maps.DeleteFunc(out, func(_ string, operation *huma.Operation) bool { return operation == nil })
	return out
}

func TestAnOperationWithoutDeclarationDoesNotRegister(t *testing.T) {
	s := newFixture(t).server
	require.Panics(t, func() { s.declare(http.MethodGet, "/api/x", access{}) })
	require.Panics(t, func() { s.declare(http.MethodGet, "/api/x", requires("no.such")) })
	require.Panics(t, func() { s.route("/api/x", requires(auth.SystemRead), nil) })
}

// What an operation asks for besides is asked for of whoever may do all else, too.
func TestTheSecondPermissionIsAskedForAsWell(t *testing.T) {
	b := newBook(t)
	download, restore := b.makes["download-backup"](), b.makes["restore-backup"]()
	verification := restore.body.(object)
	overwrite := with(with(verification, false, "verification_mode"), "RESTORE orders", "confirmation_phrase")
	config := requestExamples["apply-config"]
	for name, c := range map[string]struct {
		lacks        auth.Permission
		method, path string
		body         any
	}{
		"the plain dump is read from backups":  {auth.BackupsRead, "GET", download.path, nil},
		"a restore writes a target":            {auth.BackupsRestore, "POST", restore.path, overwrite},
		"a verification of a restore":          {auth.BackupsRestoreVerify, "POST", restore.path, verification},
		"a document changes datasources":       {auth.DatasourcesWrite, "POST", "/api/system/config", config},
		"a document changes storage locations": {auth.StorageWrite, "POST", "/api/system/config", config},
		"a document changes backup jobs":       {auth.BackupJobsWrite, "POST", "/api/system/config", config},
	} {
		t.Run(name, func(t *testing.T) {
			other := b.as(slices.DeleteFunc(auth.Permissions(), func(p auth.Permission) bool { return p == c.lacks })...)
			other.t = t
			headers := []string{}
			if c.path == "/api/system/config" {
				headers = []string{"Content-Type", yamlType}
			}
			refused := other.call(c.method, c.path, c.body, headers...).problem(http.StatusForbidden)
			require.Contains(t, refused.Detail, string(c.lacks))
		})
	}
}
