package channels_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/mail"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/notify/channels"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
	"github.com/dataguardian/dataguardian/internal/notify/webhook"
)

var update = flag.Bool("update", false, "write what is really sent into docs/notifications.md")

const (
	page       = "../../../docs/notifications.md"
	docsSecret = "signing-key-of-this-page"
)

var documentedAt = time.Date(2026, time.November, 28, 2, 0, 4, 0, time.UTC)

// documented is a failed backup as the platform tells it.
func documented(name string) notify.Event {
	id := func(n int) string { return fmt.Sprintf("01939d3c-5a00-7000-8000-%012d", n) }
	message := `datasource "` + name + `": connect: password authentication failed for user "app"`
	return notify.Event{
		ID: id(1), Type: domain.NotifyBackupFailed, Severity: domain.SeverityCritical, Time: documentedAt,
		Title: "Backup of " + name + " failed", Message: message, EntityType: domain.EntityBackupJob, EntityID: id(2),
		Metadata: map[string]any{
			"execution_id": id(3), "operation": "backup", "trigger": "schedule", "status": "failed", "backup_type": "full",
			"job_id": id(2), "job": "nightly", "datasource_id": id(4), "datasource": name, "storage_location_id": id(5), "storage": "offsite",
			"error": message, "failure_class": "AuthFailed", "hint": "Check username and password of the datasource.", "duration_seconds": float64(3),
			"temporal_url": "https://temporal.example.com/namespaces/default/workflows/backup-" + id(3),
		},
	}.FromMetadata("https://backup.example.com").Complete()
}

func documentedStorm() (storm []notify.Event) {
	for _, name := range []string{"orders", "customers", "invoices", "stock", "search", "mail", "wiki"} {
		storm = append(storm, documented(name))
	}
	storm[1] = notify.Event{
		ID: "01939d3c-5a00-7000-8000-000000000007", Type: domain.NotifyConnectionRestored, Severity: domain.SeverityInfo, Time: documentedAt.Add(20 * time.Second),
		Title: `Datasource "customers" is back`, Message: "It answered within 12 ms.", EntityType: domain.EntityDatasource, EntityID: "01939d3c-5a00-7000-8000-000000000006",
		Metadata: map[string]any{"datasource": "customers", "latency_ms": float64(12), "pool": "default"},
	}.FromMetadata("https://backup.example.com").Complete()
	return storm
}

// samples are the blocks of the page, by name: each what a real server of its kind was sent.
func samples(t *testing.T) map[string]string {
	t.Helper()
	one, storm := []notify.Event{documented("orders")}, documentedStorm()
	server := notifytest.HTTP(t, notifytest.Say(http.StatusOK, "ok"))
	sent := func(kind domain.ChannelType, config domain.ChannelConfig, events []notify.Event) notifytest.Request {
		m := message(t, kind, events...)
		m.DeliveryID = "01939d3c-5a00-7000-8000-000000000009"
		channel := calmly(t, kind, config)
		_, err := channel.Send(t.Context(), m, channel.Recipients()[0])
		require.NoError(t, err)
		defer server.Forget()
		return server.Received()[0]
	}
	hook := domain.ChannelConfig{URL: server.URL + "/dg", Secret: docsSecret, Headers: []domain.ChannelHeader{{Name: "X-Team", Value: "operations"}}}
	slack := domain.ChannelConfig{URL: server.URL + "/services/T0/B0/x", Format: domain.WebhookSlack}
	evolution, cloud := evolutionConfig(server.URL), cloudConfig(server.URL)
	evolution.Instance, evolution.APIKey, cloud.AccessToken = "main", "…", "…"
	template := cloud
	template.Template = "dataguardian_alert"
	_, err := channels.Ping(t.Context(), server.URL+"/ping/5b1c", time.Minute)
	require.NoError(t, err)
	heartbeat := server.Received()[0]
	server.Forget()

	mail := mailed(t, one)
	digest := mailed(t, storm)
	whatsapp := sent(domain.ChannelWhatsApp, evolution, one)
	var text struct{ Text string }
	require.NoError(t, json.Unmarshal(whatsapp.Body, &text))
	return map[string]string{
		"mail": mail.headers + "\n" + mail.text, "mail-html": mail.html, "digest-mail": mail.only(digest.headers, "Subject") + "\n" + digest.text,
		"webhook": signed(t, sent(domain.ChannelWebhook, hook, one)), "digest-webhook": digestOf(t, sent(domain.ChannelWebhook, hook, storm[:2]).Body),
		"webhook-members": members("", reflect.TypeFor[webhook.Body]()),
		"slack":           plainly(sent(domain.ChannelWebhook, slack, one), nil) + pretty(t, sent(domain.ChannelWebhook, slack, one).Body),
		"slack-colours":   colours(t), "digest-slack": pretty(t, sent(domain.ChannelWebhook, slack, storm).Body),
		"whatsapp": text.Text, "evolution": plainly(whatsapp, []string{"apikey"}) + pretty(t, whatsapp.Body),
		"cloud":          plainly(sent(domain.ChannelWhatsApp, cloud, one), []string{"Authorization"}) + pretty(t, sent(domain.ChannelWhatsApp, cloud, one).Body),
		"cloud-template": pretty(t, sent(domain.ChannelWhatsApp, template, one).Body),
		"heartbeat":      plainly(heartbeat, []string{"User-Agent"}), "variables": variables(),
	}
}

// plainly is a request's first line and the headers that are named.
func plainly(r notifytest.Request, headers []string) string {
	out := r.Method + " " + r.Path + "\n"
	for _, name := range headers {
		out += name + ": " + r.Header.Get(name) + "\n"
	}
	return out + "\n"
}

func pretty(t *testing.T, body []byte) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, json.Indent(&out, body, "", "  "))
	return out.String()
}

var sentAt = regexp.MustCompile(`"sent_at":"[^"]*"`)

// signed is a request as it would have been sent at the time of the page: only that time, and with it the signature, differs
// from what was sent.
func signed(t *testing.T, r notifytest.Request) string {
	t.Helper()
	notifytest.CheckSignature(t, docsSecret, r.Header.Get(webhook.HeaderSignature), r.Body)
	at := documentedAt.Add(5 * time.Second)
	body := sentAt.ReplaceAll(r.Body, []byte(`"sent_at":"`+at.Format(time.RFC3339)+`"`))
	r.Header.Set(webhook.HeaderSignature, webhook.Sign(docsSecret, at, body))
	return plainly(r, []string{"Content-Type", "User-Agent", webhook.HeaderDelivery, webhook.HeaderEvent, webhook.HeaderSignature, "X-Team"}) + pretty(t, body)
}

// digestOf is the member of a body that only a digest has, each of its notifications on a line.
func digestOf(t *testing.T, body []byte) string {
	t.Helper()
	var all struct {
		Digest struct {
			Count         int
			Types         json.RawMessage
			Notifications []json.RawMessage
		}
	}
	require.NoError(t, json.Unmarshal(body, &all))
	lines := make([]string, len(all.Digest.Notifications))
	for i, one := range all.Digest.Notifications {
		lines[i] = "    " + string(one)
	}
	return fmt.Sprintf("\"digest\": {\n  \"count\": %d,\n  \"types\": %s,\n  \"notifications\": [\n%s\n  ]\n}", all.Digest.Count, all.Digest.Types, strings.Join(lines, ",\n"))
}

func colours(t *testing.T) string {
	t.Helper()
	var lines []string
	for _, severity := range domain.Severities() {
		e := documented("orders")
		e.Severity = severity
		lines = append(lines, fmt.Sprintf("%-8s  %s", severity, colourOf(t, posted(t, message(t, domain.ChannelWebhook, e)))))
	}
	return strings.Join(lines, "\n")
}

// letter is a mail as people see it.
type letter struct{ headers, text, html string }

func (letter) only(headers, name string) string {
	for line := range strings.Lines(headers) {
		if strings.HasPrefix(line, name+":") {
			return line
		}
	}
	return ""
}

func mailed(t *testing.T, events []notify.Event) (out letter) {
	t.Helper()
	server := notifytest.Mail(t, domain.MailStartTLS)
	m := message(t, domain.ChannelSMTP, events...)
	m.DeliveryID = "01939d3c-5a00-7000-8000-000000000009"
	_, err := calmly(t, domain.ChannelSMTP, server.Config(domain.MailStartTLS)).Send(t.Context(), m, "ops@example.com")
	require.NoError(t, err)
	got, _, raw := server.Received()
	head, _, _ := strings.Cut(raw[0], "\r\n\r\n")
	lines := strings.Split(strings.ReplaceAll(head, "\r\n ", " "), "\r\n")
	slices.Sort(lines)
	for _, line := range lines {
		if name, _, _ := strings.Cut(line, ":"); name != "Date" && name != "Content-Type" && name != "MIME-Version" {
			out.headers += line + "\n"
		}
	}
	out.text, out.html = partsOf(t, got[0])
	return out
}

func partsOf(t *testing.T, m *mail.Message) (text, html string) {
	t.Helper()
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	parts, read := multipart.NewReader(m.Body, params["boundary"]), []string{}
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		require.NoError(t, err)
		read = append(read, strings.ReplaceAll(string(body), "\r\n", "\n"))
	}
	require.Len(t, read, 2)
	return read[0], read[1]
}

// members are what a JSON document has.
func members(in string, of reflect.Type) string {
	var out strings.Builder
	if in == "" {
		out.WriteString("| member | type | |\n|---|---|---|\n")
	}
	for i := range of.NumField() {
		field := of.Field(i)
		name, option, _ := strings.Cut(field.Tag.Get("json"), ",")
		kind, inner := jsonType(field.Type)
		if option == "omitempty" {
			kind += ", may be missing"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", in+name, kind, field.Tag.Get("doc"))
		if inner != nil && field.Name != "Notifications" { // these are as the one
			out.WriteString(members(in+name+".", inner))
		}
	}
	return out.String()
}

func jsonType(of reflect.Type) (name string, inner reflect.Type) {
	switch {
	case of == reflect.TypeFor[time.Time]():
		return "time (RFC 3339, UTC)", nil
	case of.Kind() == reflect.Pointer:
		return jsonType(of.Elem())
	case of.Kind() == reflect.Struct:
		return "object", of
	case of.Kind() == reflect.Map:
		return "object", nil
	case of.Kind() == reflect.Slice:
		return "list of objects like `notification`", of.Elem()
	case of.Kind() == reflect.Int:
		return "number", nil
	case of.Kind() == reflect.Bool:
		return "boolean", nil
	default:
		return "string", nil
	}
}

// variables are those that templates may show, for all types and besides for each.
func variables() string {
	dotted := func(names []string) string {
		for i := range names {
			names[i] = "`." + names[i] + "`"
		}
		return strings.Join(names, " ")
	}
	common := notify.Variables("")
	for _, kind := range domain.NotificationTypes() {
		has := notify.Variables(kind)
		common = slices.DeleteFunc(common, func(name string) bool { return !slices.Contains(has, name) })
	}
	out := "| type | variables |\n|---|---|\n| all | " + dotted(slices.Clone(common)) + " |\n"
	for _, kind := range domain.NotificationTypes() {
		own := slices.DeleteFunc(notify.Variables(kind), func(name string) bool { return slices.Contains(common, name) })
		out += "| `" + string(kind) + "` | " + dotted(own) + " |\n"
	}
	return out
}

// A block is what stands between a comment with its name and one with an end.
var block = regexp.MustCompile(`(?s)<!-- sample: ([a-z-]+) -->\n(.*?)<!-- end -->`)

// The page shows every message as it is sent. With -update it is written anew.
func TestThePageShowsWhatIsSent(t *testing.T) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	want, shown := samples(t), map[string]bool{}
	written := block.ReplaceAllStringFunc(string(text), func(found string) string {
		name := block.FindStringSubmatch(found)[1]
		sample, known := want[name]
		require.True(t, known, "the page has a block %s that is no sample", name)
		shown[name] = true
		if sample = strings.TrimSpace(sample) + "\n"; !strings.HasPrefix(sample, "|") {
			sample = "```" + languageOf(sample) + "\n" + sample + "```\n"
		}
		return "<!-- sample: " + name + " -->\n" + sample + "<!-- end -->"
	})
	for name := range want {
		require.True(t, shown[name], "the page does not show %s", name)
	}
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(written), 0o644)) //nolint:gosec // a document
		return
	}
	require.Equal(t, written, string(text), "run: go test ./internal/notify/channels -run TestThePage -update")
}

func languageOf(sample string) string {
	switch sample[0] {
	case '{', '"':
		return "json"
	case '<':
		return "html"
	}
	return "text"
}

// Whoever checks the signature on the page as it says gets what it shows: of the body without line breaks and spaces in between.
func TestTheSignatureOnThePageIsRight(t *testing.T) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, found := range block.FindAllStringSubmatch(string(text), -1) {
		if found[1] != "webhook" {
			continue
		}
		sample := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(found[2]), "```text\n"), "```")
		head, body, _ := strings.Cut(sample, "\n\n")
		var compact bytes.Buffer
		require.NoError(t, json.Compact(&compact, []byte(body)))
		header := regexp.MustCompile(webhook.HeaderSignature + `: t=([0-9]+),v1=([0-9a-f]+)`).FindStringSubmatch(head)
		mac := hmac.New(sha256.New, []byte(docsSecret))
		mac.Write([]byte(header[1] + "." + compact.String()))
		require.Equal(t, hex.EncodeToString(mac.Sum(nil)), header[2])
		require.Contains(t, string(text), docsSecret, "the page names the key")
		return
	}
	require.Fail(t, "the page has no signed request")
}
