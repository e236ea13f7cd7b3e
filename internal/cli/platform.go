package cli

import "net/http"

// platformResources are the installation itself.
func platformResources() []resource {
	return []resource{
		{
			name: "session", title: "session of yours", aliases: []string{"sessions"}, path: "/api/auth/sessions", unpaged: true, verbs: []string{list, remove},
			columns: []column{
				{header: "ID", path: "id"}, {header: "CURRENT", path: "current"}, {header: "FROM", path: "ip"}, {header: "PROGRAM", path: "user_agent"},
				{header: "LAST SEEN", path: "last_seen_at"}, {header: "EXPIRES", path: "expires_at"},
			},
			actions: []action{{name: "end-others", short: "End all your sessions but this one", method: http.MethodDelete, path: "/api/auth/sessions"}},
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
			name: "system", title: "system", actions: []action{
				{name: "health", short: "Whether the platform's parts answer", method: http.MethodGet, path: "/api/health"},
				{name: "version", short: "Show the server's version", method: http.MethodGet, path: "/api/version"},
			},
		},
	}
}
