package cli

import "net/http"

// notificationResources are what people are told, and how.
func notificationResources() []resource {
	const told, channels, deliveries, templates = "/api/notifications", "/api/notification-channels", "/api/notification-deliveries", "/api/system/notification-templates"
	return []resource{
		{
			name: "notification", title: "notification", aliases: []string{"notifications"}, path: told, verbs: []string{list, get, remove},
			filters: []field{
				{flag: "unread", path: "unread", usage: "only those that nobody has read", kind: boolField}, {flag: "type", path: "type", usage: "for example backup_failed"},
				{flag: "severity", path: "severity", values: []string{"info", "warning", "critical"}}, {flag: "execution", path: "execution_id", usage: "about this execution"},
				{flag: "from", path: "from", usage: "then or later, RFC 3339"}, {flag: "to", path: "to", usage: "before then, RFC 3339"},
			},
			columns: []column{
				{header: "ID", path: "id"}, {header: "TIME", path: "created_at"}, {header: "SEVERITY", path: "severity"}, {header: "TYPE", path: "type"}, {header: "TITLE", path: "title"}, {header: "READ", path: "read_at"},
			},
			actions: []action{
				{name: "read", short: "Mark it as read", method: http.MethodPost, path: told + "/{id}/read"},
				{name: "read-all", short: "Mark all as read", method: http.MethodPost, path: told + "/read-all", document: true},
				{name: "unread-count", short: "Tell how many nobody has read", method: http.MethodGet, path: told + "/unread-count"},
			},
		},
		{
			name: "channel", title: "notification channel", aliases: []string{"channels"}, path: channels, naming: "name", verbs: usual,
			fields:  []field{nameField, {flag: "type", path: "type", values: []string{"smtp", "webhook", "whatsapp"}}, enabledField},
			columns: []column{{header: "ID", path: "id"}, {header: "NAME", path: "name"}, {header: "TYPE", path: "type"}, {header: "ENABLED", path: "enabled"}},
			actions: []action{{name: "test", short: "Send a sample", method: http.MethodPost, path: channels + "/{id}/test", outcome: "ok"}},
		},
		{
			name: "delivery", title: "delivery", aliases: []string{"deliveries"}, path: deliveries, verbs: []string{list, get},
			filters: []field{{flag: "channel", path: "channel_id", usage: "by this channel", of: "channel"}, {flag: "notification", path: "notification_id", usage: "of this notification"}, {flag: "status", path: "status", usage: "in this state"}},
			columns: []column{
				{header: "ID", path: "id"}, {header: "TIME", path: "created_at"}, {header: "CHANNEL", path: "channel_name"}, {header: "STATUS", path: "status"}, {header: "ATTEMPTS", path: "attempts"}, {header: "ERROR", path: "error"},
			},
			actions: []action{{name: "resend", short: "Send it again", method: http.MethodPost, path: deliveries + "/{id}/resend"}},
		},
		{
			name: "template", title: "notification template", aliases: []string{"templates"}, path: templates, verbs: []string{list, get, create},
			filters: []field{{flag: "channel", path: "channel", usage: "smtp, webhook or whatsapp"}, {flag: "type", path: "type", usage: "of a notification, for example backup_failed"}, {flag: "active", path: "active", usage: "only those in use", kind: boolField}},
			fields: []field{
				{flag: "channel", path: "channel", usage: "smtp, webhook or whatsapp"}, {flag: "type", path: "type", usage: "of a notification, for example backup_failed"}, {flag: "subject", path: "subject", usage: "of a mail"}, {flag: "body", path: "body", usage: "a text/template"},
				{flag: "activate", path: "activate", usage: "use it", kind: boolField},
			},
			columns: []column{{header: "ID", path: "id"}, {header: "CHANNEL", path: "channel"}, {header: "TYPE", path: "type"}, {header: "VERSION", path: "version"}, {header: "ACTIVE", path: "active"}},
			actions: []action{
				{name: "preview", short: "Show what a text becomes", method: http.MethodPost, path: templates + "/preview", document: true, fields: []field{{flag: "channel", path: "channel", usage: "smtp, webhook or whatsapp"}, {flag: "type", path: "type", usage: "of a notification, for example backup_failed"}}},
				{name: "defaults", short: "Show the built-in texts, functions and variables", method: http.MethodGet, path: templates + "/defaults"},
				{name: "activate", short: "Use this version", method: http.MethodPost, path: templates + "/{id}/activate"},
				{name: "disable", short: "Use the built-in text", method: http.MethodPost, path: templates + "/{id}/disable"},
			},
		},
	}
}
