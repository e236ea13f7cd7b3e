package api

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// titles are those that a list has, the newest first.
func (f *fixture) titles(path string) []string {
	f.t.Helper()
	out := []string{}
	for _, item := range f.call("GET", path, nil).ok(http.StatusOK).get("items").([]any) {
		out = append(out, item.(object)["title"].(string))
	}
	return out
}

func TestEachFilterOfNotifications(t *testing.T) {
	f := signedIn(t)
	job, datasource, _ := f.job("orders")
	const execution = "0193b3a0-0000-7000-8000-000000000001"
	write := func(title string, kind domain.NotificationType, severity domain.Severity, entity domain.EntityType, id string, metadata map[string]any) time.Time {
		require.NoError(t, f.db.AddNotification(t.Context(), db.Notification{Type: kind, Severity: severity, EntityType: entity, EntityID: id, Title: title, Metadata: metadata}))
		list, _, err := f.db.ListNotifications(t.Context(), db.NotificationFilter{}, db.Page{Limit: 1})
		require.NoError(t, err)
		return list[0].CreatedAt
	}
	write("a", domain.NotifyBackupFailed, domain.SeverityCritical, domain.EntityBackupJob, job, map[string]any{"execution_id": execution})
	b := write("b", domain.NotifyHealthDegraded, domain.SeverityWarning, domain.EntityDatasource, datasource, nil)
	write("c", domain.NotifyCleanupCompleted, domain.SeverityInfo, domain.EntitySystem, "", nil)
	list, _, err := f.db.ListNotifications(t.Context(), db.NotificationFilter{Type: domain.NotifyHealthDegraded}, db.Page{})
	require.NoError(t, err)
	f.call("POST", "/api/notifications/"+list[0].ID+"/read", nil).ok(http.StatusOK)
	at := url.QueryEscape(b.Format(time.RFC3339Nano))
	for query, want := range map[string][]string{
		"":                                  {"c", "b", "a"},
		"unread=true":                       {"c", "a"},
		"type=backup_failed":                {"a"},
		"severity=warning":                  {"b"},
		"entity_type=system":                {"c"},
		"entity_id=" + datasource:           {"b"},
		"execution_id=" + execution:         {"a"},
		"from=" + at:                        {"c", "b"},
		"to=" + at:                          {"a"},
		"from=" + at + "&severity=info":     {"c"},
		"entity_id=" + job + "&unread=true": {"a"},
		"type=restore_failed":               {},
	} {
		require.Equal(t, want, f.titles("/api/notifications?"+query), query)
	}
	page := f.call("GET", "/api/notifications?limit=2", nil).ok(http.StatusOK)
	require.Equal(t, []string{"a"}, f.titles("/api/notifications?limit=2&cursor="+url.QueryEscape(page.get("next_cursor").(string))))
	for _, wrong := range []string{"severity=bad", "entity_type=lunch", "entity_id=x", "execution_id=x", "from=yesterday", "cursor=x"} {
		require.Equal(t, http.StatusUnprocessableEntity, f.call("GET", "/api/notifications?"+wrong, nil).status, wrong)
	}
}

func TestEachFilterOfDeliveries(t *testing.T) {
	f := signedIn(t)
	hook := f.call("POST", "/api/notification-channels", webhookBody("hook")).ok(http.StatusCreated).get("id").(string)
	mail := f.call("POST", "/api/notification-channels", mailBody("mail")).ok(http.StatusCreated).get("id").(string)
	f.note(domain.NotifyBackupFailed, nil)
	f.note(domain.NotifyBackupSuccess, nil)
	_, err := f.db.DispatchNotifications(t.Context())
	require.NoError(t, err)
	failed := f.call("GET", "/api/notifications?type=backup_failed", nil).get("items").([]any)[0].(object)["id"].(string)
	path := "/api/notification-deliveries"
	all := f.call("GET", path, nil).ok(http.StatusOK).get("items").([]any)
	require.Len(t, all, 4)
	require.NoError(t, f.db.FinishDelivery(t.Context(), all[0].(object)["id"].(string), db.DeliveryEnd{Status: domain.DeliverySent}))
	claimed, err := f.db.ClaimDelivery(t.Context(), all[0].(object)["id"].(string))
	require.NoError(t, err, "one that nobody has taken does not end")
	require.NoError(t, f.db.FinishDelivery(t.Context(), claimed.ID, db.DeliveryEnd{Status: domain.DeliverySent, Answer: "250 OK"}))
	for query, want := range map[string]int{
		"channel_id=" + hook:                         2,
		"channel_id=" + mail:                         2,
		"notification_id=" + failed:                  2,
		"status=pending":                             3,
		"status=sent":                                1,
		"status=failed":                              0,
		"channel_id=" + hook + "&status=pending":     2 - boolInt(*claimed.ChannelID == hook),
		"notification_id=" + failed + "&status=sent": boolInt(claimed.NotificationID == failed),
	} {
		require.Len(t, f.call("GET", path+"?"+query, nil).ok(http.StatusOK).get("items"), want, query)
	}
	page := f.call("GET", path+"?limit=3", nil).ok(http.StatusOK)
	require.Len(t, f.call("GET", path+"?limit=3&cursor="+url.QueryEscape(page.get("next_cursor").(string)), nil).get("items"), 1)
	require.Equal(t, "250 OK", f.call("GET", path+"/"+claimed.ID, nil).ok(http.StatusOK).get("answer"))
	for _, wrong := range []string{"status=lost", "channel_id=x", "notification_id=x"} {
		require.Equal(t, http.StatusUnprocessableEntity, f.call("GET", path+"?"+wrong, nil).status, wrong)
	}
	again := f.call("POST", path+"/"+claimed.ID+"/resend", nil).ok(http.StatusAccepted)
	require.Equal(t, claimed.ID, again.get("resend_of"))
	require.Len(t, f.audits("notification.resend"), 1)
	require.Equal(t, http.StatusUnprocessableEntity, f.call("POST", path+"/"+again.get("id").(string)+"/resend", nil).status, "it is under way")
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestEachFilterOfTemplates(t *testing.T) {
	f := signedIn(t)
	path := "/api/system/notification-templates"
	for _, text := range []object{
		{"channel": "smtp", "type": "backup_failed", "body": "one"},
		{"channel": "smtp", "type": "backup_failed", "body": "two"},
		{"channel": "smtp", "type": "backup_success", "body": "three", "activate": false},
		{"channel": "webhook", "type": "backup_failed", "body": "four"},
	} {
		f.call("POST", path, text).ok(http.StatusCreated)
	}
	for query, want := range map[string]int{
		"": 4, "channel=smtp": 3, "channel=whatsapp": 0, "type=backup_failed": 3, "type=backup_success": 1, "active=true": 2,
		"channel=smtp&type=backup_failed&active=true": 1, "limit=2": 2,
	} {
		require.Len(t, f.call("GET", path+"?"+query, nil).ok(http.StatusOK).get("items"), want, query)
	}
}

// Whoever has the address of a heartbeat can tell its service that all is well.
func TestTheAddressOfAHeartbeatIsWriteOnly(t *testing.T) {
	f := signedIn(t)
	const address = "https://hc.example/ping/secret-of-heartbeat"
	job, _, _ := f.job("orders")
	path := "/api/backup-jobs/" + job
	saved := f.call("PATCH", path, object{"backup_options": object{"heartbeat_url": address}}).ok(http.StatusOK)
	options := saved.get("backup_options").(object)
	require.Equal(t, "********", options["heartbeat_url"])
	stored := func() string {
		row, err := f.db.GetBackupJob(t.Context(), job)
		require.NoError(t, err)
		return row.BackupOptions.HeartbeatURL
	}
	f.call("PATCH", path, object{"name": "renamed", "backup_options": options}).ok(http.StatusOK)
	require.Equal(t, address, stored(), "writing back what was shown keeps what is stored")
	f.call("PATCH", path, object{"backup_options": object{"heartbeat_url": "file:///etc/passwd"}}).wrong("backup_options.heartbeat_url")
	f.call("POST", path+"/run", object{"backup_options": object{"heartbeat_url": "https://evil.example"}}).wrong("backup_options.heartbeat_url")
	exported := f.call("GET", "/api/system/config", nil).ok(http.StatusOK).text
	require.Contains(t, exported, "heartbeat_url: '********'")
	f.apply(exported, "").ok(http.StatusOK)
	require.Equal(t, address, stored())

	f.starts()
	run := f.call("POST", path+"/run", nil).ok(http.StatusAccepted)
	shown := exported + run.text + f.call("GET", "/api/backup-jobs", nil).text + f.call("GET", "/api/audit-logs", nil).text + f.log.String()
	require.NotContains(t, shown, "secret-of-heartbeat")
	f.call("PATCH", path, object{"backup_options": object{"heartbeat_url": ""}}).ok(http.StatusOK)
	require.Empty(t, stored())
}

// Whoever has the address of a hook can tell what is behind it that a backup was made.
func TestTheAddressOfAHookIsWriteOnly(t *testing.T) {
	f := signedIn(t)
	const one, two = "https://h.example/secret-of-one", "https://h.example/secret-of-two"
	job, datasource, storage := f.job("orders")
	path := "/api/backup-jobs/" + job
	hooks := func(before ...object) object {
		return object{"backup_options": object{"hooks": object{"before": before}}}
	}
	at := func(address string) object { return object{"url": address, "fail_run": true} }
	saved := f.call("PATCH", path, hooks(at(one), at(two))).ok(http.StatusOK)
	require.Contains(t, saved.text, `"before":[{"url":"********","fail_run":true},{"url":"********","fail_run":true}]`)
	stored := func() (addresses []string) {
		row, err := f.db.GetBackupJob(t.Context(), job)
		require.NoError(t, err)
		for _, hook := range row.BackupOptions.Hooks.At(domain.HooksBefore) {
			addresses = append(addresses, hook.URL)
		}
		return addresses
	}
	f.call("PATCH", path, object{"name": "renamed", "backup_options": saved.get("backup_options")}).ok(http.StatusOK)
	f.call("PATCH", path, object{"name": "renamed again"}).ok(http.StatusOK)
	require.Equal(t, []string{one, two}, stored(), "writing back what was shown keeps what is stored")
	f.call("PATCH", path, hooks(at("********"))).wrong("backup_options.hooks.before[0].url")
	f.call("POST", "/api/backup-jobs", object{
		"name": "copied", "datasource_id": datasource, "storage_location_id": storage, "backup_options": saved.get("backup_options"),
	}).wrong("backup_options.hooks.before[0].url")
	f.call("POST", path+"/run", hooks(at("********"), at("https://evil.example"))).wrong("backup_options.hooks")
	exported := f.call("GET", "/api/system/config", nil).ok(http.StatusOK).text
	require.Contains(t, exported, "url: '********'")
	require.Contains(t, f.apply(exported, "").ok(http.StatusOK).actions(), "unchanged backup_jobs renamed again")
	require.Equal(t, []string{one, two}, stored())

	f.call("PATCH", path, hooks(at("https://h.example/secret-of-three"), at("********"))).ok(http.StatusOK)
	require.Equal(t, []string{"https://h.example/secret-of-three", two}, stored())
	require.Contains(t, f.call("GET", "/api/audit-logs", nil).text, `"secrets_replaced":["backup_options.hooks.before[0].url"]`)
	f.starts()
	run := f.call("POST", path+"/run", object{"backup_options": saved.get("backup_options")}).ok(http.StatusAccepted)
	shown := saved.text + exported + run.text + f.call("GET", "/api/backup-jobs", nil).text + f.call("GET", "/api/audit-logs", nil).text +
		f.call("GET", "/api/executions", nil).text + f.log.String()
	require.NotContains(t, shown, "secret-of-")
}
