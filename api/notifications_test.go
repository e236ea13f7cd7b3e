package api

import (
	"bufio"
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func webhookBody(name string) object {
	return object{"name": name, "type": "webhook", "config": object{
		"url": "https://example.com/hook", "secret": "signing-key-1", "headers": []object{{"name": "X-Token", "value": "header-secret"}},
	}}
}

func mailBody(name string) object {
	return object{"name": name, "type": "smtp", "config": object{
		"host": "mail.example.com", "username": "app", "password": "mail-secret", "from": "Backups <backups@example.com>", "to": []string{"ops@example.com"},
	}}
}

func TestBadChannels(t *testing.T) {
	f := signedIn(t)
	hook, mail := webhookBody("hook"), mailBody("mail")
	evolution := object{"name": "chat", "type": "whatsapp", "config": object{
		"provider": "evolution", "api_url": "https://evo.example.com", "api_key": "k", "instance": "main", "to": []string{"4915112345678"},
	}}
	for name, tc := range map[string]struct {
		body     object
		location string
		says     string
	}{
		"without a name":                       {with(hook, " ", "name"), "name", "required"},
		"of no type":                           {with(hook, "pager", "type"), "type", ""},
		"with a file for a URL":                {with(hook, "file:///etc/passwd", "config", "url"), "config.url", "http or https"},
		"with a user in the URL":               {with(hook, "https://me:secret@example.com", "config", "url"), "config.url", "without a user"},
		"with a mail server's fields":          {with(hook, "mail.example.com", "config", "host"), "config.host", "no meaning"},
		"with our own header":                  {with(hook, []object{{"name": "X-DataGuardian-Signature", "value": "x"}}, "config", "headers"), "config.headers[0]", "writes itself"},
		"with a line break in a header":        {with(hook, []object{{"name": "X-A", "value": "x\r\ny"}}, "config", "headers"), "config.headers[0]", "control character"},
		"with the mask as its secret":          {with(hook, "********", "config", "secret"), "config.secret", "none is stored"},
		"mail without a host":                  {with(mail, nil, "config", "host"), "config.host", "required"},
		"mail to nobody":                       {with(mail, nil, "config", "to"), "config.to", "required"},
		"mail to what is no address":           {with(mail, []string{"ops"}, "config", "to"), "config.to[0]", "not an address"},
		"mail from what is no address":         {with(mail, "x\r\nBcc: y@z", "config", "from"), "config.from", "not an address"},
		"mail with a password in the clear":    {with(mail, "none", "config", "encryption"), "config.encryption", "in the clear"},
		"mail with a user and no password":     {with(mail, nil, "config", "password"), "config.password", "neither"},
		"WhatsApp to letters":                  {with(evolution, []string{"call me"}, "config", "to"), "config.to[0]", "telephone number"},
		"WhatsApp without a provider":          {with(evolution, nil, "config", "provider"), "config.provider", "evolution or cloud"},
		"WhatsApp Cloud without a token":       {with(evolution, "cloud", "config", "provider"), "config.access_token", "required"},
		"with a rule for no type":              {with(hook, object{"types": []string{"lunch"}}, "rules"), "rules.types", "no notification type"},
		"with a job that is no id":             {with(hook, object{"job_ids": []string{"nightly"}}, "rules"), "rules.job_ids[0]", "not an id"},
		"with quiet hours that are no times":   {with(hook, object{"quiet_hours": object{"from": "25:00", "to": "7"}}, "rules"), "rules.quiet_hours.from", "time of day"},
		"with quiet hours in no zone":          {with(hook, object{"quiet_hours": object{"from": "22:00", "to": "07:00", "time_zone": "Mars"}}, "rules"), "rules.quiet_hours.time_zone", "IANA"},
		"with quiet hours that are of no time": {with(hook, object{"quiet_hours": object{"from": "22:00", "to": "22:00"}}, "rules"), "rules.quiet_hours.to", "same as from"},
	} {
		t.Run(name, func(t *testing.T) {
			f := *f
			f.t = t
			answer := f.call("POST", "/api/notification-channels", tc.body)
			require.Equal(t, http.StatusUnprocessableEntity, answer.status, answer.text)
			require.Contains(t, answer.text, `"location":"`+tc.location+`"`)
			require.Contains(t, answer.text, tc.says)
		})
	}
}

func TestSecretsOfChannelsAreWriteOnly(t *testing.T) {
	f := signedIn(t)
	hook := f.call("POST", "/api/notification-channels", webhookBody("hook"))
	require.Equal(t, http.StatusCreated, hook.status, hook.text)
	slack := f.call("POST", "/api/notification-channels", object{"name": "slack", "type": "webhook", "config": object{"format": "slack", "url": "https://hooks.slack.com/services/T0/B0/verysecret"}})
	require.Equal(t, http.StatusCreated, slack.status, slack.text)
	mail := f.call("POST", "/api/notification-channels", mailBody("mail"))
	require.Equal(t, http.StatusCreated, mail.status, mail.text)
	path := "/api/notification-channels/" + hook.get("id").(string)
	shown := f.call("GET", "/api/notification-channels", nil).text + f.call("GET", path, nil).text + f.call("GET", "/api/audit-logs", nil).text + f.log.String()
	shown += f.call("GET", "/api/system/config", nil).text
	for _, secret := range []string{"signing-key-1", "header-secret", "verysecret", "mail-secret", "example.com/hook"} {
		require.NotContains(t, shown, secret)
	}

	// Writing back what was shown keeps what is stored.
	config := hook.get("config").(object)
	require.Equal(t, http.StatusOK, f.call("PATCH", path, object{"config": config, "name": "renamed"}).status)
	row, err := f.db.GetChannel(context.Background(), hook.get("id").(string))
	require.NoError(t, err)
	require.Equal(t, "signing-key-1", row.Config.Secret)
	require.Equal(t, "header-secret", row.Config.Headers[0].Value)
	require.Equal(t, "https://example.com/hook", row.Config.URL, "which may be a token itself")

	// The stored secret is not sent to another server.
	moved := f.call("PATCH", path, object{"config": object{"url": "https://evil.example/hook"}})
	require.Equal(t, http.StatusUnprocessableEntity, moved.status, moved.text)
	require.Contains(t, moved.text, "config.headers.x-token")
	moved = f.call("PATCH", "/api/notification-channels/"+mail.get("id").(string), object{"config": object{"host": "evil.example"}})
	require.Equal(t, http.StatusUnprocessableEntity, moved.status, moved.text)
	// Nor to whoever a certificate makes trusted that was not.
	other := httptest.NewTLSServer(http.NotFoundHandler())
	defer other.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate().Raw})
	moved = f.call("PATCH", "/api/notification-channels/"+mail.get("id").(string), object{"config": object{"ca_certificate": string(certificate)}})
	require.Equal(t, http.StatusUnprocessableEntity, moved.status, moved.text)
	require.Contains(t, moved.text, "config.password")
	signed := f.call("POST", "/api/notification-channels", object{"name": "signed", "type": "webhook", "config": object{
		"format": "slack", "url": "https://hooks.slack.com/services/T0/B0/another", "secret": "signing-key-1",
	}}).ok(http.StatusCreated)
	path2 := "/api/notification-channels/" + signed.get("id").(string)
	f.call("PATCH", path2, object{"config": object{"allow_link_local": false}}).ok(http.StatusOK)
	moved = f.call("PATCH", path2, object{"config": object{"url": "https://evil.example/hook"}})
	require.Equal(t, http.StatusUnprocessableEntity, moved.status, moved.text)
	f.call("PATCH", path2, object{"config": object{"url": "https://good.example/hook", "secret": "signing-key-2"}}).ok(http.StatusOK)

	require.Equal(t, http.StatusNoContent, f.call("DELETE", path, nil).status)
	require.Equal(t, http.StatusNotFound, f.call("GET", path, nil).status)
}

func TestASampleIsSentByAWorkerOnTheSystemQueue(t *testing.T) {
	f := signedIn(t)
	hook := f.call("POST", "/api/notification-channels", webhookBody("hook"))
	run := &mocks.WorkflowRun{}
	run.On("Get", mock.Anything, mock.Anything).Run(func(args mock.Arguments) {
		*args.Get(1).(*contract.ChannelTestResult) = contract.ChannelTestResult{OK: false, Message: "the server answered 403 Forbidden", Hint: "Check the credentials of the channel."}
	}).Return(nil)
	f.temporal.On("ExecuteWorkflow", mock.Anything, mock.MatchedBy(func(o client.StartWorkflowOptions) bool { return o.TaskQueue == contract.SystemTaskQueue }),
		contract.TestChannel.Name, mock.Anything).Return(run, nil)
	answer := f.call("POST", "/api/notification-channels/"+hook.get("id").(string)+"/test", nil)
	require.Equal(t, http.StatusOK, answer.status, answer.text)
	require.Equal(t, false, answer.get("ok"))
	require.Contains(t, answer.text, "403 Forbidden")
}

// note writes a notification.
func (f *fixture) note(kind domain.NotificationType, metadata map[string]any) {
	f.t.Helper()
	require.NoError(f.t, f.db.AddNotification(context.Background(), db.Notification{
		Type: kind, Severity: domain.SeverityOf(kind), EntityType: domain.EntitySystem, Title: "Backup of orders failed", Message: "no route", Metadata: metadata,
	}))
}

func TestNotificationsAreListedReadAndDeleted(t *testing.T) {
	f := signedIn(t)
	f.note(domain.NotifyBackupFailed, nil)
	f.note(domain.NotifyBackupSuccess, nil)
	f.note(domain.NotifyBackupSuccess, nil)
	count := func(query string) int {
		answer := f.call("GET", "/api/notifications"+query, nil)
		require.Equal(t, http.StatusOK, answer.status, answer.text)
		return len(answer.get("items").([]any))
	}
	require.Equal(t, 3, count(""))
	require.Equal(t, 1, count("?severity=critical"))
	require.Equal(t, 2, count("?type=backup_success"))
	require.Equal(t, 0, count("?entity_type=datasource"))
	require.Equal(t, http.StatusUnprocessableEntity, f.call("GET", "/api/notifications?type=lunch", nil).status)
	first := f.call("GET", "/api/notifications?severity=critical", nil).get("items").([]any)[0].(object)["id"].(string)
	require.Equal(t, http.StatusOK, f.call("POST", "/api/notifications/"+first+"/read", nil).status)
	require.EqualValues(t, 2, f.call("GET", "/api/notifications/unread-count", nil).get("unread"))
	require.Equal(t, 2, count("?unread=true"))
	require.EqualValues(t, 2, f.call("POST", "/api/notifications/read-all", nil).get("read"))
	require.Equal(t, 0, count("?unread=true"))
	require.Equal(t, http.StatusConflict, f.call("DELETE", "/api/notifications/"+first, nil).status, "no channel was told of it yet")
	_, err := f.db.DispatchNotifications(t.Context())
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, f.call("DELETE", "/api/notifications/"+first, nil).status)
	require.Equal(t, http.StatusNotFound, f.call("DELETE", "/api/notifications/"+first, nil).status)
}

func TestNewNotificationsAreStreamed(t *testing.T) {
	f := signedIn(t)
	f.note(domain.NotifyBackupSuccess, nil)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.http.URL+"/api/notifications/events", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+f.token)
	answer, err := f.http.Client().Do(request)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	lines := bufio.NewScanner(answer.Body)
	next := func() (event, data string) {
		for lines.Scan() {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "event: "):
				event = strings.TrimPrefix(line, "event: ")
			case strings.HasPrefix(line, "data: "):
				return event, strings.TrimPrefix(line, "data: ")
			}
		}
		require.NoError(t, lines.Err())
		return "", ""
	}
	event, data := next()
	require.Equal(t, "unread", event)
	require.JSONEq(t, `{"unread":1}`, data)
	f.note(domain.NotifyBackupFailed, nil)
	event, data = next()
	require.Equal(t, "notification", event)
	require.Contains(t, data, `"type":"backup_failed"`)
	event, data = next()
	require.Equal(t, "unread", event)
	require.JSONEq(t, `{"unread":2}`, data)
}

func TestTemplatesAreStrictVersionedAndPreviewed(t *testing.T) {
	f := signedIn(t)
	path := "/api/system/notification-templates"
	good := object{"channel": "smtp", "type": "backup_failed", "subject": "{{.Datasource}} failed", "body": "Look: {{.Message}} on {{.Datasource}}", "html": "<p>{{.Message}}</p>"}
	for name, tc := range map[string]struct {
		body           object
		location, says string
	}{
		"an unknown variable":                    {with(good, "{{.Databse}}", "body"), "body", ".Databse"},
		"an unknown variable in a branch":        {with(good, "{{if .Test}}{{else}}{{.Nope}}{{end}}", "subject"), "subject", ".Nope"},
		"an unknown variable in the HTML":        {with(good, "<p>{{.Nope}}</p>", "html"), "html", ".Nope"},
		"a variable of other types":              {with(good, "{{if .Test}}{{else}}{{.Source}}{{end}}", "body"), "body", "never has"},
		"an event's variable in a with":          {with(good, "{{if .Test}}{{with .Link}}\n{{.Title}}{{end}}{{end}}", "body"), "body", "shows .Title of a text, which has no variables ($ is the event: $.Title), at line 2, column 3"},
		"a fact's variable outside of a range":   {with(good, "{{if .Flapping}}{{.Name}}{{end}}", "body"), "body", "shows .Name"},
		"a value that a function does not take":  {with(good, "{{if .Test}}{{upper .Count}}{{end}}", "body"), "body", "whose argument 1 is a text"},
		"an unknown function":                    {with(good, "{{env \"HOME\"}}", "body"), "body", "env"},
		"a function of Go's that is not offered": {with(good, "{{printf \"%999999999d\" 1}}", "body"), "body", "printf"},
		"what never ends":                        {with(good, "{{range 1000000000000}}{{end}}", "body"), "body", "only .Facts"},
		"what all but never ends":                {with(good, "{{range .Facts}}{{if .Name}}{{range $.Facts}}{{end}}{{end}}{{end}}", "body"), "body", "inside another"},
		"a template that calls itself":           {with(good, `{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`, "body"), "body", "template"},
		"the metadata":                           {with(good, "{{.Metadata}}", "body"), "body", ".Metadata"},
		"an open brace":                          {with(good, "{{.Title", "body"), "body", "can not be read"},
		"nothing":                                {with(good, " ", "body"), "body", "required"},
		"HTML in WhatsApp":                       {with(with(good, nil, "subject"), "whatsapp", "channel"), "html", "mail only"},
	} {
		t.Run(name, func(t *testing.T) {
			f := *f
			f.t = t
			answer := f.call("POST", path, tc.body)
			require.Equal(t, http.StatusUnprocessableEntity, answer.status, answer.text)
			require.Contains(t, answer.text, `"location":"`+tc.location+`"`)
			require.Contains(t, answer.text, tc.says)
		})
	}
	preview := object{"channel": "smtp", "type": "backup_failed"}
	sample := f.call("POST", path+"/preview", preview)
	require.Equal(t, http.StatusOK, sample.status, sample.text)
	require.Contains(t, sample.get("text"), "This is a sample")

	f.note(domain.NotifyBackupFailed, map[string]any{"datasource": "orders<b>"})
	one := f.call("POST", path, good)
	require.Equal(t, http.StatusCreated, one.status, one.text)
	two := f.call("POST", path, with(good, "Second: {{.Title}}", "body"))
	require.EqualValues(t, 2, two.get("version"))
	shown := f.call("POST", path+"/preview", preview)
	require.Equal(t, "Second: Backup of orders failed", shown.get("text"))
	require.NotEmpty(t, shown.get("notification_id"), "it is a real event")
	require.Equal(t, http.StatusOK, f.call("POST", path+"/"+one.get("id").(string)+"/activate", nil).status)
	shown = f.call("POST", path+"/preview", preview)
	require.Equal(t, "Look: no route on orders<b>", shown.get("text"))
	require.Equal(t, "orders<b> failed", shown.get("subject"))
	require.Equal(t, http.StatusOK, f.call("POST", path+"/"+one.get("id").(string)+"/disable", nil).status)
	require.Contains(t, f.call("POST", path+"/preview", preview).get("text"), "What to do:")
	require.Len(t, f.call("GET", path+"?channel=smtp", nil).get("items"), 2)
	defaults := f.call("GET", path+"/defaults", nil)
	require.Len(t, defaults.get("templates"), 3*len(domain.NotificationTypes()))
	require.Len(t, defaults.get("variables_of"), len(domain.NotificationTypes()))
	for _, one := range defaults.get("templates").([]any) { // what is offered to begin with can be saved
		f.call("POST", path, with(one.(map[string]any), false, "activate")).ok(http.StatusCreated)
	}
	wrong := f.call("POST", path+"/preview", with(preview, "{{with .Link}}{{.Title}}{{end}}", "body"))
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status, wrong.text)
}

// What goes on for long looks again whether its caller may: an API token is not a session that has ended.
func TestAStreamOfAnAPITokenGoesOn(t *testing.T) {
	f := signedIn(t)
	token := f.call("POST", tokensPath, object{"name": "watcher", "permissions": []string{"notifications.read"}}).ok(http.StatusCreated)
	who, err := f.server.authenticate(t.Context(), "test", "Bearer "+token.get("token").(string))
	require.NoError(t, err)
	ctx := withPrincipal(t.Context(), who)
	require.NoError(t, f.server.stillAllowed(ctx, auth.NotificationsRead))
	require.Error(t, f.server.stillAllowed(ctx, auth.StorageDownload), "the token does not hold it")
	f.call("DELETE", tokensPath+"/"+token.get("id").(string), nil).ok(http.StatusNoContent)
	require.Error(t, f.server.stillAllowed(ctx, auth.NotificationsRead))
}
