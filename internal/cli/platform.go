package cli

import (
	"context"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/client"
)

const settingsPath = "/api/system/settings"

// platformResources are the installation itself.
func platformResources() []resource {
	return append(append(accessResources(), approvalResource()), []resource{
		{
			name: "session", title: "session", aliases: []string{"sessions"}, path: "/api/auth/sessions", verbs: []string{list, remove},
			columns: sessionColumns,
			actions: []action{
				{name: "end-others", short: "End all your sessions but this one", method: http.MethodDelete, path: "/api/auth/sessions"},
				{name: "sign-out-everywhere", short: "End all your sessions, this one too", method: http.MethodPost, path: "/api/auth/logout-everywhere"},
				{name: "change-password", short: "Change your password: --secret-from current_password=- and new_password=-", method: http.MethodPost, path: "/api/auth/password", document: true},
			},
		},
		{
			name: "recipient", title: "recipient key", aliases: []string{"recipients"}, path: "/api/system/recipients", unpaged: true, naming: "name", verbs: []string{list, create, remove},
			fields:  []field{nameField, {flag: "recipient", path: "recipient", usage: "an age recipient or an SSH public key, which may open new backups"}},
			columns: []column{{header: "ID", path: "id"}, {header: "NAME", path: "name"}, {header: "RECIPIENT", path: "recipient"}, {header: "OWN", path: "own"}},
		},
		{
			name: "identity", title: "imported identity", aliases: []string{"identities"}, path: "/api/system/identities", unpaged: true, naming: "name", verbs: []string{list, create, remove},
			fields:  []field{nameField},
			columns: []column{{header: "ID", path: "id"}, {header: "NAME", path: "name"}, {header: "PUBLIC", path: "public"}, {header: "SINCE", path: "created_at"}},
		},
		{
			name: "system", title: "platform", actions: []action{
				{name: "health", short: "Whether the platform's parts answer", method: http.MethodGet, path: "/api/health"},
				{name: "dashboard", short: "Show what there is, what failed lately and what comes next", method: http.MethodGet, path: "/api/dashboard/overview"},
				{name: "version", short: "Show the server's version", method: http.MethodGet, path: "/api/version"},
				{name: "settings", short: "Show every setting", path: settingsPath, unpaged: true, columns: []column{
					{header: "KEY", path: "key"}, {header: "VALUE", path: "value"}, {header: "DEFAULT", path: "default"}, {header: "ABOUT", path: "doc"},
				}},
				{name: "schedule", short: "Show when a cron is due next", method: http.MethodGet, path: "/api/schedules/preview",
					filters: []field{{flag: "cron", path: "cron", usage: "five fields"}, {flag: "timezone", path: "timezone", usage: "an IANA name"}}},
			},
			extra: func(a *app) []*cobra.Command { return []*cobra.Command{a.setCommand()} },
		},
	}...)
}

// setCommand changes settings. Their keys have dots, so --set is not for them.
func (a *app) setCommand() *cobra.Command {
	command := &cobra.Command{Use: "set KEY=VALUE…", Short: "Change settings; KEY=null takes the default again", Args: someArguments("KEY=VALUE")}
	addApprovalFlag(command)
	command.RunE = a.run(func(ctx context.Context, s *session, args []string) error {
		values := map[string]any{}
		for _, assignment := range args {
			key, value, found := strings.Cut(assignment, "=")
			if !found || key == "" {
				return BadUsage(command, "%q is not KEY=VALUE", assignment)
			}
			values[key] = scalar(value)
		}
		_, err := s.Do(approved(ctx, command), client.Call{Method: http.MethodPatch, Path: settingsPath, Body: values})
		return err
	})
	return command
}
