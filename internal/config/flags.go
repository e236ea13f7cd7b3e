package config

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Flag is a command-line flag that stands for an environment variable. There is none for a secret:
// a command line is readable by every process of the machine.
type Flag struct{ Name, Variable, Usage string }

// The flags. A command takes the groups that it acts on.
var (
	LogFlags = []Flag{
		{"log-level", "DATAGUARDIAN_LOG_LEVEL", "debug, info, warn or error (default info)"},
		{"log-format", "DATAGUARDIAN_LOG_FORMAT", "text or json (default text)"},
	}
	APIFlags = []Flag{
		{"listen", "DATAGUARDIAN_LISTEN", "host:port of the API (default 127.0.0.1:8080)"},
	}
	OIDCFlags = []Flag{
		{"oidc-issuer", "DATAGUARDIAN_OIDC_ISSUER", "issuer of the OpenID Connect provider through which people may sign in (default none)"},
		{"oidc-client-id", "DATAGUARDIAN_OIDC_CLIENT_ID", "client id at the provider"},
		{"oidc-client-secret-file", "DATAGUARDIAN_OIDC_CLIENT_SECRET_FILE", "file that holds the client secret"},
		{"oidc-redirect-url", "DATAGUARDIAN_OIDC_REDIRECT_URL", "address of the API as browsers reach it, https://…/api/auth/oidc/callback"},
		{"oidc-scopes", "DATAGUARDIAN_OIDC_SCOPES", "scopes to ask for, separated by commas (default openid,email,profile)"},
		{"oidc-role-claim", "DATAGUARDIAN_OIDC_ROLE_CLAIM", "claim that roles come from, dotted for one inside another (default groups)"},
		{"oidc-roles", "DATAGUARDIAN_OIDC_ROLES", "roles of the claim's values, value=role separated by ';'"},
		{"oidc-audiences", "DATAGUARDIAN_OIDC_AUDIENCES", "audiences of ID tokens that are accepted besides the client id, separated by commas"},
		{"oidc-link-by-email", "DATAGUARDIAN_OIDC_LINK_BY_EMAIL", "let people sign in to accounts that have their verified email, but the owner's (default false)"},
	}
	DatabaseFlags = []Flag{
		{"db-max-conns", "DATAGUARDIAN_DB_MAX_CONNS", "most connections to the database (default 16)"},
	}
	TemporalFlags = []Flag{
		{"temporal-address", "TEMPORAL_ADDRESS", "host:port of the Temporal frontend"},
		{"temporal-namespace", "TEMPORAL_NAMESPACE", "Temporal namespace (default dataguardian)"},
		{"temporal-ui-url", "TEMPORAL_UI_URL", "address of the Temporal web UI, for links"},
	}
	WorkerFlags = []Flag{
		{"pools", "DATAGUARDIAN_POOLS", "pools to serve, separated by commas (default default)"},
		{"slots", "DATAGUARDIAN_SLOTS", "activities that move data and run at once in each pool (default 4)"},
		{"data-listen", "DATAGUARDIAN_DATA_LISTEN", "host:port on which downloads are served to the API, or off (default 127.0.0.1:0, a free port)"},
		{"data-url", "DATAGUARDIAN_DATA_URL", "address under which the API reaches that port, like https://worker.example.com:8443"},
		{"client-tools-path", "DATAGUARDIAN_CLIENT_TOOLS_PATH", "directories searched first for pg_dump and its like, separated by ':'"},
	}
	DataDirFlags = []Flag{
		{"data-dir", "DATAGUARDIAN_DATA_DIR", "directory of all state (default /var/lib/dataguardian as root, else ~/.local/state/dataguardian)"},
	}
	EmbeddedTemporalFlags = []Flag{
		{"temporal-port", "DATAGUARDIAN_TEMPORAL_PORT", "port of the embedded Temporal frontend (default 7233, or a free one)"},
		{"temporal-ui-port", "DATAGUARDIAN_TEMPORAL_UI_PORT", "port of the embedded Temporal web UI (default 8233, or a free one)"},
	}
	MasterKeyFlags = []Flag{
		{"master-key-file", "DATAGUARDIAN_MASTER_KEY_FILE", "file that holds the master key"},
	}
	DemoFlags = []Flag{
		{"size-mb", "DEMO_SIZE_MB", "size of the sample database in MB (default 200)"},
		{"exit", "DEMO_EXIT", "end when the demo is done (default false)"},
	}
)

// AddFlags adds groups of flags to a command's set.
func AddFlags(set *pflag.FlagSet, groups ...[]Flag) {
	for _, group := range groups {
		for _, flag := range group {
			set.String(flag.Name, "", fmt.Sprintf("%s [%s]", flag.Usage, flag.Variable))
			if flag.Variable == "DEMO_EXIT" || flag.Variable == "DATAGUARDIAN_OIDC_LINK_BY_EMAIL" {
				set.Lookup(flag.Name).NoOptDefVal = "true" // the plain flag is enough
			}
			_ = set.SetAnnotation(flag.Name, variableAnnotation, []string{flag.Variable}) // fails only for an unknown flag
		}
	}
}

const variableAnnotation = "variable"

// given collects what the operator said: the environment, and over it the flags that were used.
// sources names, for each variable, what to call it in an error.
func given(environ []string, set *pflag.FlagSet) (values, sources map[string]string) {
	values, sources = map[string]string{}, map[string]string{}
	for _, entry := range environ {
		if name, value, found := strings.Cut(entry, "="); found && value != "" {
			values[name], sources[name] = value, name
		}
	}
	if set == nil {
		return values, sources
	}
	set.Visit(func(flag *pflag.Flag) {
		if variable := flag.Annotations[variableAnnotation]; len(variable) == 1 {
			values[variable[0]], sources[variable[0]] = flag.Value.String(), "--"+flag.Name
		}
	})
	return values, sources
}
