package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// auditedReads are operations that change nothing and are in the trail all the same: what they show leaves the platform.
var auditedReads = map[string]bool{"export-audit-logs": true, "download-backup": true, "download-storage-file": true}

// book knows a valid request of every operation that changes something, each about things of its own.
type book struct {
	*fixture
	n     int
	makes map[string]func() attempt
}

func newBook(t *testing.T) *book {
	t.Helper()
	b := &book{fixture: signedIn(t)}
	b.obliging()
	b.guard(unheard)
	b.makes = map[string]func() attempt{}
	for _, part := range []map[string]func() attempt{b.accounts(), b.access(), b.ends(), b.jobs(), b.executions(), b.platform(), b.telling()} {
		for id, makes := range part {
			require.NotContains(t, b.makes, id)
			b.makes[id] = makes
		}
	}
	return b
}

// name is one that nothing has yet.
func (b *book) name() string { b.n++; return fmt.Sprint("thing ", b.n) }

func (b *book) made(path string, body any) string {
	b.t.Helper()
	return b.call("POST", path, body).ok(201).get("id").(string)
}

func one(action, resource string) []trace { return []trace{{action, resource}} }

// job is one of its own with both its ends, and with a schedule.
func (b *book) job() (job, datasource, storage string) {
	b.t.Helper()
	datasource, storage = b.made("/api/datasources", datasourceBody(b.name())), b.made("/api/storage-locations", storageBody(b.name()))
	return b.made("/api/backup-jobs", object{"name": b.name(), "datasource_id": datasource, "storage_location_id": storage, "schedule_cron": "0 3 * * *"}), datasource, storage
}

func (b *book) backup() string {
	b.t.Helper()
	return b.completed(b.job())
}

// person is somebody with these permissions, and their id.
func (b *book) person(permissions ...auth.Permission) (*fixture, string) {
	b.t.Helper()
	other := b.as(permissions...)
	return other, other.me()
}

// roleIn is a role of its own.
func (b *book) role() string {
	b.t.Helper()
	return b.made(rolesPath, object{"name": b.name(), "permissions": []string{"datasources.read"}})
}

// wanted is an approval that somebody asked for, and who.
func (b *book) wanted() (asker *fixture, id string) {
	b.t.Helper()
	asker, user := b.person(auth.ExecutionsControl)
	row, _, err := b.db.AskApproval(context.Background(), db.Approval{
		Action: domain.ApproveDeleteBackup, Permission: string(auth.ExecutionsControl), Resource: "execution", ResourceID: user, Summary: "Delete it",
		RequestedBy: user, RequesterName: "ana@example.com", ExpiresAt: time.Now().Add(time.Hour),
	})
	require.NoError(b.t, err)
	return asker, row.ID
}

func (b *book) accounts() map[string]func() attempt {
	const verifier = "the verifier of a command line"
	return map[string]func() attempt{
		"auth-setup": func() attempt {
			fresh := newFixture(b.t)
			fresh.guard(unheard)
			return attempt{path: "/api/auth/setup", body: object{"email": ownerEmail, "name": "Owner", "password": ownerPassword}, of: fresh, stranger: true,
				entries: one("auth.setup", "user"), idAt: []string{"user", "id"}}
		},
		"auth-login": func() attempt {
			return attempt{path: "/api/auth/login", body: object{"email": ownerEmail, "password": ownerPassword}, stranger: true, entries: one("auth.login", "user"), idAt: []string{"user", "id"}}
		},
		"oidc-token": func() attempt {
			_, user := b.person()
			code, hash, err := auth.NewToken()
			require.NoError(b.t, err)
			sum := sha256.Sum256([]byte(verifier))
			require.NoError(b.t, b.db.AddHandoff(context.Background(), hash, user, base64.RawURLEncoding.EncodeToString(sum[:]), time.Now().Add(time.Minute)))
			return attempt{path: "/api/auth/oidc/token", body: object{"code": code, "code_verifier": verifier}, stranger: true, entries: one("auth.login", "user"), about: user}
		},
		"auth-logout": func() attempt {
			who, user := b.person()
			sessions := who.call("GET", "/api/auth/sessions", nil).ids("id")
			require.Len(b.t, sessions, 1, user)
			return attempt{path: "/api/auth/logout", of: who, entries: one("auth.logout", "session"), about: sessions[0]}
		},
		"sign-out-everywhere": func() attempt {
			who, user := b.person()
			return attempt{path: "/api/auth/logout-everywhere", of: who, entries: one("auth.signed_out_everywhere", "user"), about: user}
		},
		"end-other-sessions": func() attempt {
			who, user := b.person()
			b.session(user, time.Now().Add(time.Hour))
			return attempt{path: "/api/auth/sessions", of: who, entries: one("auth.sessions_ended", "user"), about: user}
		},
		"end-session": func() attempt {
			who, user := b.person()
			b.session(user, time.Now().Add(time.Hour))
			id := who.call("GET", "/api/auth/sessions", nil).ids("id")[0]
			return attempt{path: "/api/auth/sessions/" + id, of: who, entries: one("auth.session_ended", "session"), about: id}
		},
		"change-password": func() attempt {
			who := *b.fixture
			id := b.user("ana@example.com")
			who.token = b.session(id, time.Now().Add(time.Hour))
			return attempt{path: "/api/auth/password", body: object{"current_password": ownerPassword, "new_password": "a quite new password"}, of: &who,
				entries: one("auth.password_changed", "user"), about: id}
		},
		"create-token": func() attempt {
			return attempt{path: tokensPath, body: object{"name": b.name(), "permissions": []string{"datasources.read"}}, entries: one("api_token.create", "api_token")}
		},
		"revoke-token": func() attempt {
			id := b.made(tokensPath, object{"name": b.name(), "permissions": []string{"datasources.read"}})
			return attempt{path: tokensPath + "/" + id, entries: one("api_token.revoke", "api_token"), about: id}
		},
	}
}

func (b *book) access() map[string]func() attempt {
	decides := func(verb, action string) func() attempt {
		return func() attempt {
			_, id := b.wanted()
			return attempt{path: approvalsPath + "/" + id + verb, body: object{"note": "as agreed"}, entries: one(action, "approval"), about: id}
		}
	}
	return map[string]func() attempt{
		"create-role": func() attempt {
			return attempt{path: rolesPath, body: object{"name": b.name(), "permissions": []string{"datasources.read"}}, entries: one("role.create", "role")}
		},
		"update-role": func() attempt {
			return attempt{path: rolesPath + "/" + b.role(), body: object{"description": "x"}, entries: one("role.update", "role")}
		},
		"set-role-permissions": func() attempt {
			id := b.role()
			return attempt{path: rolesPath + "/" + id + "/permissions", body: object{"permissions": []string{"datasources.write"}}, entries: one("role.update", "role"), about: id}
		},
		"delete-role": func() attempt {
			id := b.role()
			return attempt{path: rolesPath + "/" + id, entries: one("role.delete", "role"), about: id}
		},
		"create-scope": func() attempt {
			_, user := b.person()
			return attempt{path: scopesPath, body: object{"user_id": user, "permission": "*", "effect": "allow", "resource": "datasource", "tag": "shop"}, entries: one("scope.create", "scope")}
		},
		"delete-scope": func() attempt {
			_, user := b.person()
			id := b.made(scopesPath, object{"user_id": user, "permission": "*", "effect": "allow", "resource": "datasource", "tag": "shop"})
			return attempt{path: scopesPath + "/" + id, entries: one("scope.delete", "scope"), about: id}
		},
		"create-user": func() attempt {
			return attempt{path: usersPath, body: object{"email": "new@example.com", "password": ownerPassword, "roles": []string{"operator"}}, entries: one("user.create", "user")}
		},
		"update-user": func() attempt {
			_, user := b.person()
			return attempt{path: usersPath + "/" + user, body: object{"name": "Ana", "password": "a quite new password"}, entries: one("user.update", "user")}
		},
		"set-user-roles": func() attempt {
			_, user := b.person()
			return attempt{path: usersPath + "/" + user + "/roles", body: object{"roles": []string{"readonly"}}, entries: one("user.update", "user"), about: user}
		},
		"delete-user": func() attempt {
			_, user := b.person()
			return attempt{path: usersPath + "/" + user, entries: one("user.delete", "user"), about: user}
		},
		"end-user-sessions": func() attempt {
			_, user := b.person()
			return attempt{path: usersPath + "/" + user + "/sessions", entries: one("user.sessions_ended", "user"), about: user}
		},
		"end-user-session": func() attempt {
			_, user := b.person()
			id := b.call("GET", usersPath+"/"+user+"/sessions", nil).ids("id")[0]
			return attempt{path: usersPath + "/" + user + "/sessions/" + id, entries: one("user.session_ended", "session"), about: id}
		},
		"revoke-user-token": func() attempt {
			who, user := b.person(auth.DatasourcesRead)
			id := who.call("POST", tokensPath, object{"name": "ci", "permissions": []string{"datasources.read"}}).ok(201).get("id").(string)
			return attempt{path: usersPath + "/" + user + "/tokens/" + id, entries: one("api_token.revoke", "api_token"), about: id}
		},
		"approve": decides("/approve", "approval.approved"),
		"reject":  decides("/reject", "approval.rejected"),
		"withdraw-approval": func() attempt {
			who, id := b.wanted()
			return attempt{path: approvalsPath + "/" + id, of: who, entries: one("approval.withdrawn", "approval"), about: id}
		},
		"export-audit-logs": func() attempt {
			return attempt{path: auditPath + "/export", entries: one("audit.export", "audit_log"), about: "-"}
		},
	}
}

// newIdentity is a recipient and its identity.
func (b *book) newIdentity() *age.X25519Identity {
	b.t.Helper()
	identity, err := age.GenerateX25519Identity()
	require.NoError(b.t, err)
	return identity
}

func (b *book) platform() map[string]func() attempt {
	return map[string]func() attempt{
		"add-recipient": func() attempt {
			return attempt{path: "/api/system/recipients", body: object{"name": "vault", "recipient": b.newIdentity().Recipient().String()}, entries: one("recipient.add", "recipient")}
		},
		"remove-recipient": func() attempt {
			id := b.made("/api/system/recipients", object{"name": "old vault", "recipient": b.newIdentity().Recipient().String()})
			return attempt{path: "/api/system/recipients/" + id, entries: one("recipient.remove", "recipient"), about: id}
		},
		"import-identity": func() attempt {
			return attempt{path: "/api/system/identities", body: object{"name": "lost", "identity": b.newIdentity().String()}, entries: one("identity.import", "identity"), about: "-"}
		},
		"remove-identity": func() attempt {
			b.call("POST", "/api/system/identities", object{"name": "lost", "identity": b.newIdentity().String()}).ok(201)
			id := b.call("GET", "/api/system/identities", nil).ids("id")[0]
			return attempt{path: "/api/system/identities/" + id, entries: one("identity.remove", "identity"), about: id}
		},
		"update-settings": func() attempt {
			return attempt{path: "/api/system/settings", body: object{"health.interval_seconds": 121}, entries: one("settings.update", "settings"), about: "-"}
		},
		"replace-settings": func() attempt {
			return attempt{path: "/api/system/settings", body: object{"health.interval_seconds": 122}, entries: one("settings.update", "settings"), about: "-"}
		},
		"apply-config": func() attempt {
			return attempt{path: "/api/system/config", body: requestExamples["apply-config"], headers: []string{"Content-Type", yamlType}, about: "config", entries: []trace{
				{"datasource.create", "datasource"}, {"storage_location.create", "storage_location"}, {"backup_job.create", "backup_job"}, {"config.apply", "system"},
			}}
		},
	}
}

func (b *book) telling() map[string]func() attempt {
	channel := func() string { return b.made("/api/notification-channels", mailBody(b.name())) }
	template := func() string {
		return b.made("/api/system/notification-templates", object{"channel": "smtp", "type": "backup_failed", "subject": "{{.Title}}", "body": "{{.Message}}", "activate": false})
	}
	note := func() string {
		b.note(domain.NotifyBackupFailed, nil)
		_, err := b.db.DispatchNotifications(context.Background())
		require.NoError(b.t, err)
		return b.call("GET", "/api/notifications", nil).ids("id")[0]
	}
	const channels, templates, notifications = "/api/notification-channels", "/api/system/notification-templates", "/api/notifications"
	return map[string]func() attempt{
		"create-notification-channel": func() attempt {
			return attempt{path: channels, body: webhookBody(b.name()), entries: one("notification_channel.create", "notification_channel")}
		},
		"update-notification-channel": func() attempt {
			return attempt{path: channels + "/" + channel(), body: object{"enabled": false}, entries: one("notification_channel.update", "notification_channel")}
		},
		"delete-notification-channel": func() attempt {
			id := channel()
			return attempt{path: channels + "/" + id, entries: one("notification_channel.delete", "notification_channel"), about: id}
		},
		"test-notification-channel": func() attempt {
			id := channel()
			return attempt{path: channels + "/" + id + "/test", entries: one("notification_channel.test", "notification_channel"), about: id}
		},
		"resend-notification": func() attempt {
			channel()
			about := note()
			var id string
			require.NoError(b.t, b.connect().QueryRow(context.Background(), `UPDATE notification_deliveries SET status = 'failed', finished_at = now()
				WHERE notification_id = $1 RETURNING id::text`, about).Scan(&id))
			return attempt{path: "/api/notification-deliveries/" + id + "/resend", entries: one("notification.resend", "notification"), about: about}
		},
		"read-notification": func() attempt {
			return attempt{path: notifications + "/" + note() + "/read", entries: one("notification.read", "notification")}
		},
		"read-all-notifications": func() attempt {
			note()
			return attempt{path: notifications + "/read-all", entries: one("notification.read_all", "notification"), about: "-"}
		},
		"delete-notification": func() attempt {
			id := note()
			dbtest.Execute(b.t, b.url, `UPDATE notification_deliveries SET status = 'sent', finished_at = now()`)
			return attempt{path: notifications + "/" + id, entries: one("notification.delete", "notification"), about: id}
		},
		"create-notification-template": func() attempt {
			return attempt{path: templates, body: object{"channel": "smtp", "type": "backup_success", "subject": "{{.Title}}", "body": "{{.Message}}"},
				entries: one("notification_template.create", "notification_template")}
		},
		"activate-notification-template": func() attempt {
			return attempt{path: templates + "/" + template() + "/activate", entries: one("notification_template.activate", "notification_template")}
		},
		"disable-notification-template": func() attempt {
			id := template()
			b.call("POST", templates+"/"+id+"/activate", nil).ok(200)
			return attempt{path: templates + "/" + id + "/disable", entries: one("notification_template.disable", "notification_template")}
		},
		"preview-notification-template": func() attempt {
			return attempt{path: templates + "/preview", body: requestExamples["preview-notification-template"], entries: one("notification_template.preview", "notification_template"), about: "-"}
		},
	}
}
