package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// byHand are the operations that a command of its own calls, by the words of the command.
var byHand = map[string]string{
	"DELETE /api/access/users/{id}/sessions/{id}":    "user end-session",
	"DELETE /api/access/users/{id}/tokens/{id}":      "user revoke-token",
	"GET /api/audit-logs/export":                     "audit export",
	"GET /api/auth/me":                               "whoami",
	"GET /api/auth/oidc/login":                       "login",
	"POST /api/auth/oidc/token":                      "login",
	"POST /api/auth/login":                           "login",
	"POST /api/auth/logout":                          "logout",
	"POST /api/auth/setup":                           "setup",
	"GET /api/backups/{id}/download":                 "backup download",
	"POST /api/backups/{id}/restore":                 "backup restore",
	"GET /api/executions/{id}/events":                "execution watch",
	"POST /api/executions/{id}/verify":               "execution verify",
	"GET /api/storage-locations/{id}/files/download": "storage download",
	"GET /api/system/config":                         "export",
	"POST /api/system/config":                        "apply",
	"PATCH /api/system/settings":                     "system set",
}

// notCommands are the operations without a command, each for its reason.
var notCommands = map[string]string{
	"GET /api/auth/oidc/callback":                   "the provider sends browsers there",
	"GET /api/auth/status":                          "setup and login tell what is lacking",
	"GET /api/executions/events":                    "for pages that show everything as it happens; execution watch follows one",
	"GET /api/notifications/events":                 "as that; notification list --unread",
	"GET /api/db-sync-executions/{id}/events":       "sync-run watch looks once a second",
	"GET /api/restore-drill-executions/{id}/events": "drill-run watch looks once a second",
	"GET /api/access/roles/{id}/permissions":        "role get shows them",
	"PUT /api/access/roles/{id}/permissions":        "role update --permission sets them",
	"GET /api/access/users/{id}/roles":              "user get shows them",
	"PUT /api/access/users/{id}/roles":              "user update --role sets them",
	"PUT /api/system/settings":                      "system set changes what it names; to forget the others is for programs",
}

// TestEveryOperationOfTheAPIHasACommand is the other direction of TestEveryCommandIsAnOperationOfTheAPI.
func TestEveryOperationOfTheAPIHasACommand(t *testing.T) {
	inTable := map[string]bool{}
	for _, r := range resources() {
		for _, a := range append(usualActions(r), r.actions...) {
			method := a.method
			if a.columns != nil {
				method = "GET"
			}
			inTable[method+" "+a.path] = true
		}
	}
	root := &cobra.Command{Use: "dataguardian"}
	root.AddGroup(&cobra.Group{ID: GroupID})
	root.AddCommand(Commands(Options{AddFlags: func(*pflag.FlagSet) {}})...)
	var lacking []string
	seen := map[string]bool{}
	for path, item := range readDocument(t).Paths {
		for method := range item {
			operation := strings.ToUpper(method) + " " + path
			seen[operation] = true
			command, hand := byHand[operation]
			_, none := notCommands[operation]
			if hand {
				found, rest, err := root.Find(strings.Fields(command))
				require.NoError(t, err, operation)
				require.Empty(t, rest, "%s: there is no command %q", operation, command)
				require.True(t, found.Runnable(), command)
			}
			if !inTable[operation] && !hand && !none {
				lacking = append(lacking, operation)
			}
			require.False(t, none && (hand || inTable[operation]), "%s has a command, and a reason to have none", operation)
		}
	}
	slices.Sort(lacking)
	require.Empty(t, lacking, "operations that no command calls")
	for operation := range byHand {
		require.True(t, seen[operation], "the API has no %s", operation)
	}
	for operation := range notCommands {
		require.True(t, seen[operation], "the API has no %s", operation)
	}
}
