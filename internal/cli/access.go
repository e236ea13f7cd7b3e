package cli

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/client"
)

// accessResources are who may do what, and what they did.
func accessResources() []resource {
	const users, roles = "/api/access/users", "/api/access/roles"
	return []resource{
		{
			name: "user", title: "user", aliases: []string{"users"}, path: users, naming: "email", verbs: usual,
			filters: []field{{flag: "email", path: "email", usage: "the one with this email"}},
			fields: []field{
				{flag: "email", path: "email", usage: "what they sign in with"}, nameField, {flag: "active", path: "is_active", usage: "whether they can sign in", kind: boolField},
				{flag: "role", path: "roles", usage: "name of a role", kind: listField},
			},
			columns: []column{
				{header: "ID", path: "id"}, {header: "EMAIL", path: "email"}, {header: "NAME", path: "name"}, {header: "ROLES", path: "roles"},
				{header: "ACTIVE", path: "is_active"}, {header: "OWNER", path: "owner"}, {header: "LAST SIGN-IN", path: "last_login_at"},
			},
			actions: []action{
				{name: "sessions", short: "List their sessions", path: users + "/{id}/sessions", columns: sessionColumns},
				{name: "end-sessions", short: "End all their sessions", method: http.MethodDelete, path: users + "/{id}/sessions", confirm: "End all sessions of user %s?"},
				{name: "tokens", short: "List their API tokens", path: users + "/{id}/tokens", columns: tokenColumns},
			},
			extra: userCommands,
		},
		{
			name: "role", title: "role", aliases: []string{"roles"}, path: roles, naming: "name", verbs: usual,
			fields: []field{nameField, {flag: "description", path: "description", usage: "what it is for"}, {flag: "permission", path: "permissions", usage: "a permission that it grants", kind: listField}},
			columns: []column{
				{header: "ID", path: "id"}, {header: "NAME", path: "name"}, {header: "SYSTEM", path: "system"}, {header: "DESCRIPTION", path: "description"}, {header: "PERMISSIONS", path: "permissions"},
			},
			actions: []action{{name: "permissions", short: "List every permission that there is", path: "/api/access/permissions", unpaged: true,
				columns: []column{{header: "NAME", path: "name"}, {header: "ABOUT", path: "description"}}}},
		},
		{
			name: "scope", title: "scope rule", aliases: []string{"scopes"}, path: "/api/access/scopes", verbs: []string{list, get, create, remove},
			filters: []field{{flag: "user", path: "user_id", usage: "of this user, by email or id", of: "user"}, {flag: "role", path: "role_id", usage: "of this role", of: "role"}},
			fields: []field{
				{flag: "user", path: "user_id", usage: "whom it limits, by email or id", of: "user"}, {flag: "role", path: "role_id", usage: "which role it limits", of: "role"},
				{flag: "permission", path: "permission", usage: "a permission, or *"}, {flag: "effect", path: "effect", values: []string{"allow", "deny"}},
				{flag: "resource", path: "resource", values: []string{"datasource", "storage_location", "backup_job"}},
				{flag: "resource-id", path: "resource_id", usage: "this one"}, {flag: "tag", path: "tag", usage: "those with this tag"},
			},
			columns: []column{
				{header: "ID", path: "id"}, {header: "USER", path: "user_id", of: "user"}, {header: "ROLE", path: "role_id", of: "role"}, {header: "EFFECT", path: "effect"},
				{header: "PERMISSION", path: "permission"}, {header: "RESOURCE", path: "resource"}, {header: "RESOURCE ID", path: "resource_id"}, {header: "TAG", path: "tag"},
			},
		},
		{
			name: "token", title: "API token", aliases: []string{"tokens"}, path: "/api/auth/tokens", naming: "name", verbs: []string{list, get, create, remove},
			fields: []field{
				nameField, {flag: "permission", path: "permissions", usage: "a permission that it has", kind: listField}, {flag: "expires-at", path: "expires_at", usage: "RFC 3339"},
			},
			columns: tokenColumns,
		},
		{
			name: "audit", title: "audit entry", path: "/api/audit-logs", verbs: []string{list}, filters: auditFilters,
			columns: []column{
				{header: "TIME", path: "created_at"}, {header: "WHO", path: "actor_name"}, {header: "ACTION", path: "action"}, {header: "RESOURCE", path: "resource"},
				{header: "ID", path: "resource_id"}, {header: "FROM", path: "ip"},
			},
			extra: func(a *app) []*cobra.Command { return []*cobra.Command{a.auditExportCommand()} },
		},
	}
}

func userCommands(a *app) []*cobra.Command {
	return []*cobra.Command{
		a.endCommand("end-session", "session", "End one of their sessions"), a.endCommand("revoke-token", "token", "Revoke one of their API tokens"),
	}
}

var (
	sessionColumns = []column{
		{header: "ID", path: "id"}, {header: "CURRENT", path: "current"}, {header: "FROM", path: "ip"}, {header: "PROGRAM", path: "user_agent"},
		{header: "LAST SEEN", path: "last_seen_at"}, {header: "EXPIRES", path: "expires_at"},
	}
	tokenColumns = []column{
		{header: "ID", path: "id"}, {header: "NAME", path: "name"}, {header: "PERMISSIONS", path: "permissions"}, {header: "EXPIRES", path: "expires_at"}, {header: "LAST USED", path: "last_used_at"},
	}
	auditFilters = []field{
		{flag: "actor", path: "actor", usage: "who did it"}, {flag: "action", path: "action", usage: "for example datasource.update"}, {flag: "resource", path: "resource", usage: "for example datasource"},
		{flag: "resource-id", path: "resource_id", usage: "this thing"}, {flag: "from", path: "from", usage: "then or later, RFC 3339"}, {flag: "to", path: "to", usage: "before then, RFC 3339"},
	}
)

// endCommand takes something from a user that they sign in with.
func (a *app) endCommand(name, kind, short string) *cobra.Command {
	command := &cobra.Command{Use: name + " EMAIL ID", Short: short, Args: exactly("the user, by email or id", "the id of the "+kind)}
	command.RunE = a.run(func(ctx context.Context, s *session, args []string) error {
		id, err := s.idFor(ctx, "user", args[0])
		if err != nil {
			return err
		}
		_, err = s.Do(ctx, client.Call{Method: http.MethodDelete, Path: "/api/access/users/" + url.PathEscape(id) + "/" + kind + "s/" + url.PathEscape(args[1])})
		return err
	})
	return command
}

// auditExportCommand writes the whole trail, as it comes.
func (a *app) auditExportCommand() *cobra.Command {
	command := &cobra.Command{Use: "export", Short: "Write the audit trail, a JSON document on each line", Args: exactly()}
	for _, f := range auditFilters {
		f.add(command, a)
	}
	command.RunE = a.run(func(ctx context.Context, s *session, _ []string) error {
		query, err := s.query(ctx, auditFilters)
		if err != nil {
			return err
		}
		answer, err := s.Open(ctx, "/api/audit-logs/export", query)
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		_, err = io.Copy(s.cmd.OutOrStdout(), answer.Body)
		return err
	})
	return command
}
