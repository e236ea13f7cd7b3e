// Package arch holds the direction of imports (docs/architecture.md) as a table that a test enforces.
package arch

import (
	"slices"
	"strings"
)

// module is the prefix of our packages.
const module = "github.com/dataguardian/dataguardian/"

// rule restricts what some packages import.
type rule struct {
	packages string // pattern of package paths below module; see matches
	except   []string
	reason   string
	// allow: of our own packages, only those that match. nil allows all.
	allow []string
	// forbid: these never, ours (below module) or others (full paths).
	forbid []string
	// onlyHere turns forbid around: these are forbidden in every package but those of the rule.
	onlyHere []string
	// tests: the rule holds for the imports of test files as well.
	tests bool
}

var rules = []rule{
	{
		packages: "internal/domain", allow: []string{"internal/domain"}, tests: true,
		reason: "the vocabulary is what everything else stands on",
	},
	{
		packages: "internal/failure", allow: []string{"internal/failure"}, tests: true,
		reason: "error classes are used at every edge, so they may depend on nothing",
	},
	{
		packages: "internal/engine/...", allow: []string{"internal/engine/...", "internal/posixlock", "internal/domain", "internal/failure"},
		reason: "an engine turns a database into streams; where they go and who asked is not its business",
	},
	{
		packages: "internal/storage/...", allow: []string{"internal/storage/...", "internal/sshdial", "internal/domain", "internal/failure"},
		reason: "a store keeps objects; what they mean is not its business",
	},
	{
		packages: "internal/sshdial", allow: []string{"internal/sshdial", "internal/failure"},
		reason: "every SSH connection checks keys and tells troubles alike; what is done over it is not its business",
	},
	{
		packages: "internal/referenced", allow: []string{"internal/referenced", "internal/sshdial", "internal/posixlock", "internal/domain", "internal/failure"},
		reason: "it turns named files into a stream and back; who names them and where the stream goes is not its business",
	},
	{
		packages: "internal/posixlock", allow: []string{"internal/posixlock"},
		reason: "everybody who opens files that SQLite may have open needs it, so it needs nobody",
	},
	{
		packages: "internal/tunnel", allow: []string{"internal/tunnel", "internal/sshdial", "internal/domain", "internal/failure"},
		reason: "a tunnel carries bytes to a server; what speaks through it, and who asked, is not its business",
	},
	{
		packages: "internal/notify/...", allow: []string{"internal/notify/...", "internal/outbound", "internal/domain", "internal/failure"},
		reason: "a channel delivers messages that others wrote",
	},
	{
		packages: "internal/retention/...", allow: []string{"internal/retention/...", "internal/domain", "internal/failure"},
		reason: "retention is a pure function of backups and a policy",
	},
	{
		packages: "internal/auth/...", allow: []string{"internal/auth/...", "internal/domain", "internal/failure"},
		reason: "passwords, tokens and permissions are pure; rows and requests are other packages'",
	},
	{
		packages: "internal/archive/...", allow: []string{"internal/archive/...", "internal/storage/...", "internal/domain", "internal/failure"},
		reason: "the format is readable with nothing but a storage",
	},
	{
		packages: "internal/agekey", allow: []string{"internal/agekey", "internal/failure"},
		reason: "keys are read alike by the API, the activities and a recovery",
	},
	{
		packages: "internal/client", allow: []string{"internal/client", "internal/domain"},
		reason: "it knows the API by its documented JSON, not by the server's code",
	},
	{
		packages: "internal/cli", allow: []string{"internal/cli", "internal/client", "internal/progress", "internal/domain", "internal/failure"},
		reason: "the command line does what anybody can do with the API, and nothing else",
	},
	{
		packages: "internal/progress", allow: []string{"internal/progress", "internal/domain"},
		reason: "it shows figures; where they come from is not its business",
	},
	{
		packages: "internal/dataport", allow: []string{"internal/dataport", "internal/failure"},
		reason: "it carries bytes between worker and API; what they are, and who asks, is not its business",
	},
	{
		packages: "internal/recovery",
		allow:    []string{"internal/recovery", "internal/archive/...", "internal/storage/...", "internal/engine/...", "internal/referenced", "internal/domain", "internal/failure"},
		reason:   "it works where there is no platform: no catalogue and no Temporal",
	},
	{
		packages: "internal/recovery", forbid: []string{"github.com/jackc/pgx/...", "go.temporal.io/..."},
		reason: "it works where there is no platform: no catalogue and no Temporal",
	},
	{
		packages: "db/...", allow: []string{"db/...", "migrations", "internal/domain", "internal/failure"},
		except: []string{"db/dbtest"}, // starts a server for tests
		reason: "the database keeps documents; it knows nothing of who uses them",
	},
	{
		packages: "internal/contract", allow: []string{"internal/contract", "internal/domain", "internal/failure"},
		reason: "the contract is imported by the API, the workflows and the activities, so it imports none of them",
	},
	{
		packages: "internal/schedule", allow: []string{"internal/schedule", "internal/domain", "internal/failure"},
		reason: "it turns a cron into a Temporal schedule; what runs then is not its business",
	},
	{
		packages: "internal/reconcile", allow: []string{"internal/reconcile", "internal/schedule", "db", "internal/contract", "internal/domain", "internal/failure"},
		reason: "it compares rows with workflows; what they do is not its business",
	},
	{
		packages: "workflows/...", allow: []string{"workflows/...", "internal/contract", "internal/domain", "internal/failure"},
		reason: "workflows only decide: an implementation imported here could be called outside an activity",
	},
	{
		packages: "workflows/...",
		forbid: []string{
			"os", "os/exec", "math/rand", "math/rand/v2", "crypto/rand", "net", "net/http", "log", "log/slog", "io/ioutil",
			"github.com/google/uuid", "database/sql", "github.com/jackc/pgx/...",
		},
		reason: "a workflow replays: the clock, randomness, files and the network give another answer the second time",
	},
	{
		packages: "activities/...", forbid: []string{"workflows/...", "api/..."},
		reason: "activities do what they are told; who decides or asks is above them",
	},
	{
		packages: "api/...",
		forbid:   []string{"workflows/...", "activities/...", "worker/...", "internal/engine/...", "internal/archive/...", "internal/storage/..."},
		reason:   "the API never touches a datasource or a storage location: only workers have the network path and the tools",
	},
	{
		packages: "internal/standalone/...", onlyHere: []string{"go.temporal.io/server/...", "github.com/temporalio/ui-server/..."},
		except: []string{"cmd/...", "integration/..."},
		reason: "the embedded Temporal server is for one machine; everything else is a client of somebody's cluster",
	},
	{
		packages: "cmd/...", onlyHere: []string{"internal/standalone/...", "internal/process", "internal/config", "internal/demo"},
		except: []string{"internal/standalone/...", "internal/process", "internal/config", "internal/demo/...", "integration/...", "db/dbtest"},
		reason: "packages are given what they need; only the composition knows the settings and how it runs",
	},
	{
		packages: "api/...", onlyHere: []string{"github.com/gin-gonic/...", "github.com/danielgtaylor/huma/..."},
		reason: "HTTP is the API's own affair",
	},
	{
		packages: "internal/storage/s3/...", onlyHere: []string{"github.com/aws/..."},
		reason: "a provider's types stay in the leaf that talks to it",
	},
	{
		packages: "internal/storage/ssh/...", onlyHere: []string{"github.com/pkg/sftp"},
		except: []string{"internal/referenced"}, // which reads files of SSH servers
		reason: "a provider's types stay in the leaf that talks to it",
	},
	{
		packages: "internal/engine/sqlserver/...", onlyHere: []string{"github.com/microsoft/go-mssqldb/..."},
		reason: "a provider's types stay in the leaf that talks to it",
	},
	{
		packages: "internal/auth/oidc", onlyHere: []string{"github.com/coreos/go-oidc/...", "golang.org/x/oauth2/..."},
		reason: "a provider's types stay in the leaf that talks to it",
	},
	{
		packages: "internal/notify/smtp/...", onlyHere: []string{"github.com/wneessen/go-mail/..."},
		reason: "a provider's types stay in the leaf that talks to it",
	},
	{
		packages: "internal/notify/slack/...", onlyHere: []string{"github.com/slack-go/..."},
		reason: "a provider's types stay in the leaf that talks to it",
	},
}

// vagueNames say nothing about what a package is for, and collect what has no better place.
var vagueNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "lib"}

// broken says why rule r does not let the package at path import the other one, or "".
func (r rule) broken(path, imported string) string {
	own, isOurs := strings.CutPrefix(imported, module)
	name := imported
	if isOurs {
		name = own
	}
	applies := matches(r.packages, path)
	switch {
	case len(r.onlyHere) > 0:
		if !applies && !matchesAny(r.except, path) && matchesAny(r.onlyHere, name) {
			return "only " + r.packages + " may import " + name + ": " + r.reason
		}
	case !applies || matchesAny(r.except, path):
	case r.allow != nil && isOurs && !matchesAny(r.allow, name):
		return r.packages + " may not import " + name + ": " + r.reason
	case matchesAny(r.forbid, name):
		return r.packages + " may not import " + name + ": " + r.reason
	}
	return ""
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, path) })
}

// matches reports whether path is pattern, or below it if the pattern ends in "/...".
func matches(pattern, path string) bool {
	if parent, recursive := strings.CutSuffix(pattern, "/..."); recursive {
		return path == parent || strings.HasPrefix(path, parent+"/")
	}
	return path == pattern
}
