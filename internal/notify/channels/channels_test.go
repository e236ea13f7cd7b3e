package channels_test

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/notify/channels"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
)

const (
	patience = 500 * time.Millisecond // of a test's channel
	secret   = "signing-key-of-the-test"
	token    = "access-token-of-the-test"
)

func open(t *testing.T, kind domain.ChannelType, config domain.ChannelConfig) notify.Channel {
	t.Helper()
	return openFor(t, kind, config, patience)
}

// calmly opens a channel to a server that answers, however busy the machine is.
func calmly(t *testing.T, kind domain.ChannelType, config domain.ChannelConfig) notify.Channel {
	t.Helper()
	return openFor(t, kind, config, time.Minute)
}

func openFor(t *testing.T, kind domain.ChannelType, config domain.ChannelConfig, timeout time.Duration) notify.Channel {
	t.Helper()
	config.Normalize(kind)
	require.NoError(t, config.Validate(kind).OrNil())
	channel, err := channels.Open(kind, config, timeout)
	require.NoError(t, err)
	return channel
}

func message(t *testing.T, kind domain.ChannelType, events ...notify.Event) notify.Message {
	t.Helper()
	if len(events) == 0 {
		e := notify.Sample(domain.NotifyBackupFailed, time.Now())
		e.Link, e.TemporalURL = "https://backup.example.com/api/executions/1", "https://temporal.example.com/run/1"
		e.Message = "connect <!channel> & fail"
		events = []notify.Event{e}
	}
	m, err := notify.Render(kind, nil, events)
	require.NoError(t, err)
	m.DeliveryID = "delivery-1"
	return m
}

func webhookConfig(url string) domain.ChannelConfig {
	return domain.ChannelConfig{URL: url, Format: domain.WebhookJSON, Secret: secret, Headers: []domain.ChannelHeader{{Name: "X-Token", Value: token}}}
}

func evolutionConfig(url string) domain.ChannelConfig {
	return domain.ChannelConfig{Provider: domain.WhatsAppEvolution, APIURL: url, APIKey: token, Instance: "main one", To: []string{"+4915112345678", "4915187654321"}}
}

func cloudConfig(url string) domain.ChannelConfig {
	return domain.ChannelConfig{Provider: domain.WhatsAppCloud, APIURL: url, AccessToken: token, PhoneNumberID: "106540352242922", To: []string{"4915112345678"}}
}

// httpChannels are the channels that speak HTTP, over a server at url.
func httpChannels(t *testing.T, url string) map[string]func() (string, error) {
	send := func(kind domain.ChannelType, config domain.ChannelConfig) func() (string, error) {
		return func() (string, error) {
			channel := open(t, kind, config)
			return channel.Send(t.Context(), message(t, kind), channel.Recipients()[0])
		}
	}
	return map[string]func() (string, error){
		"webhook":   send(domain.ChannelWebhook, webhookConfig(url+"/hook/secret-path-1")),
		"slack":     send(domain.ChannelWebhook, domain.ChannelConfig{URL: url + "/services/T0/B0/secret-path-1", Format: domain.WebhookSlack}),
		"evolution": send(domain.ChannelWhatsApp, evolutionConfig(url)),
		"cloud":     send(domain.ChannelWhatsApp, cloudConfig(url)),
		"heartbeat": func() (string, error) { return channels.Ping(t.Context(), url+"/secret-path-1", patience) },
	}
}

func TestAWebhookIsSignedJSON(t *testing.T) {
	server := notifytest.HTTP(t, notifytest.Say(http.StatusAccepted, "thanks"))
	answer, err := open(t, domain.ChannelWebhook, webhookConfig(server.URL)).Send(t.Context(), message(t, domain.ChannelWebhook), "")
	require.NoError(t, err)
	require.Equal(t, "202 Accepted thanks", answer)
	got := server.Received()[0]
	require.Equal(t, http.MethodPost, got.Method)
	require.Equal(t, "delivery-1", got.Header.Get("X-DataGuardian-Delivery"))
	require.Equal(t, "backup_failed", got.Header.Get("X-DataGuardian-Event"))
	require.Equal(t, token, got.Header.Get("X-Token"))
	notifytest.CheckSignature(t, secret, got.Header.Get("X-DataGuardian-Signature"), got.Body)
	var body map[string]any
	require.NoError(t, json.Unmarshal(got.Body, &body))
	require.Equal(t, "dataguardian.notification/1", body["schema"])
	require.Equal(t, "critical", body["notification"].(map[string]any)["severity"])
	require.Equal(t, "https://backup.example.com/api/executions/1", body["links"].(map[string]any)["execution"])
	require.NotContains(t, body, "digest")
}

func TestADigestSaysHowManyItStandsFor(t *testing.T) {
	server := notifytest.HTTP(t, notifytest.Say(http.StatusOK, ""))
	var storm []notify.Event
	for range 200 {
		storm = append(storm, notify.Sample(domain.NotifyBackupFailed, time.Now()))
	}
	storm = append([]notify.Event{notify.Sample(domain.NotifyBackupSuccess, time.Now())}, storm...)
	m := message(t, domain.ChannelWebhook, storm...)
	_, err := open(t, domain.ChannelWebhook, webhookConfig(server.URL)).Send(t.Context(), m, "")
	require.NoError(t, err)
	var body struct {
		Title        string
		Notification struct{ Severity string }
		Digest       struct {
			Count         int
			Types         map[string]int
			Notifications []any
		}
	}
	require.NoError(t, json.Unmarshal(server.Received()[0].Body, &body))
	require.Equal(t, 201, body.Digest.Count)
	require.Equal(t, map[string]int{"backup_failed": 200, "backup_success": 1}, body.Digest.Types)
	require.Len(t, body.Digest.Notifications, 50)
	require.Equal(t, "critical", body.Notification.Severity)
	require.Contains(t, body.Title, "201 notifications: 200 backup_failed, 1 backup_success")
}

func TestSlackGetsValidBlockKit(t *testing.T) {
	server := notifytest.HTTP(t, notifytest.Say(http.StatusOK, notifytest.SlackOK))
	channel := open(t, domain.ChannelWebhook, domain.ChannelConfig{URL: server.URL + "/services/T0/B0/x", Format: domain.WebhookSlack})
	long := notify.Sample(domain.NotifyBackupFailed, time.Now())
	long.Title, long.Message = strings.Repeat("😀 title ", 100), strings.Repeat("very long <error> & so on ", 1000)
	for _, m := range []notify.Message{message(t, domain.ChannelWebhook), message(t, domain.ChannelWebhook, long)} {
		answer, err := channel.Send(t.Context(), m, "")
		require.NoError(t, err)
		require.Equal(t, "200 OK ok", answer)
	}
	texts := notifytest.CheckBlockKit(t, server.Received()[0].Body)
	require.Contains(t, texts, "&lt;!channel&gt; &amp; fail", "nobody else's text mentions the whole channel")
	require.Contains(t, texts, "https://temporal.example.com/run/1")
	require.Contains(t, texts, "*Datasource*\norders")
	notifytest.CheckBlockKit(t, server.Received()[1].Body)
}

func TestEvolutionGetsATextForEachNumber(t *testing.T) {
	server := notifytest.HTTP(t, notifytest.Say(http.StatusCreated, notifytest.EvolutionOK))
	channel := open(t, domain.ChannelWhatsApp, evolutionConfig(server.URL+"/"))
	require.Equal(t, []string{"4915112345678", "4915187654321"}, channel.Recipients())
	long := notify.Sample(domain.NotifyBackupFailed, time.Now())
	long.Message, long.Hint = strings.Repeat("very long error ", 1000), "Start the server."
	m := message(t, domain.ChannelWhatsApp, long)
	require.LessOrEqual(t, notify.Characters(m.Text), 4096)
	require.Contains(t, m.Text, "Start the server.", "what to do is not what is left out")
	require.Contains(t, m.Text, "…")
	answer, err := channel.Send(t.Context(), m, "4915187654321")
	require.NoError(t, err)
	require.Contains(t, answer, "BAE594145F4C59B4")
	got := server.Received()[0]
	require.Equal(t, "/message/sendText/main one", got.Path)
	require.Equal(t, token, got.Header.Get("apikey"))
	var body map[string]string
	require.NoError(t, json.Unmarshal(got.Body, &body))
	require.Equal(t, map[string]string{"number": "4915187654321", "text": m.Text}, body)
}

func TestTheCloudAPIGetsATextOrATemplate(t *testing.T) {
	server := notifytest.HTTP(t, notifytest.Say(http.StatusOK, notifytest.CloudOK))
	config := cloudConfig(server.URL)
	_, err := open(t, domain.ChannelWhatsApp, config).Send(t.Context(), message(t, domain.ChannelWhatsApp), "4915112345678")
	require.NoError(t, err)
	config.Template = "dataguardian_alert"
	_, err = open(t, domain.ChannelWhatsApp, config).Send(t.Context(), message(t, domain.ChannelWhatsApp), "4915112345678")
	require.NoError(t, err)
	got := server.Received()
	require.Equal(t, "/106540352242922/messages", got[0].Path)
	require.Equal(t, "Bearer "+token, got[0].Header.Get("Authorization"))
	require.Contains(t, string(got[0].Body), `"type":"text"`)
	var body struct {
		Template struct {
			Name       string
			Language   struct{ Code string }
			Components []struct{ Parameters []struct{ Text string } }
		}
	}
	require.NoError(t, json.Unmarshal(got[1].Body, &body))
	require.Equal(t, "dataguardian_alert", body.Template.Name)
	require.Equal(t, "en_US", body.Template.Language.Code)
	text := body.Template.Components[0].Parameters[0].Text
	require.NotContains(t, text, "\n", "a parameter takes no line break")
	require.Contains(t, text, " | ")
}

func TestTheCloudAPITellsByItsCodeWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		answer string
		want   failure.Class
	}{
		"an expired token is told with 401":      {401, `{"error":{"message":"Error validating access token: Session has expired","type":"OAuthException","code":190,"error_subcode":463,"fbtrace_id":"A"}}`, failure.AuthFailed},
		"too many messages are told with 400":    {400, `{"error":{"message":"(#130429) Rate limit hit","type":"OAuthException","code":130429,"fbtrace_id":"A"}}`, failure.Unreachable},
		"a number that is none":                  {400, `{"error":{"message":"(#131030) Recipient phone number not in allowed list","type":"OAuthException","code":131030,"fbtrace_id":"A"}}`, failure.ConfigInvalid},
		"a template that is not there":           {404, `{"error":{"message":"(#132001) Template name does not exist in the translation","type":"OAuthException","code":132001,"fbtrace_id":"A"}}`, failure.NotFound},
		"an outage of theirs":                    {500, `{"error":{"message":"(#131000) Something went wrong","type":"OAuthException","code":131000,"fbtrace_id":"A"}}`, failure.Unreachable},
		"an answer that is not theirs (a proxy)": {502, `<html>Bad gateway</html>`, failure.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			server := notifytest.HTTP(t, notifytest.Say(c.status, c.answer))
			_, err := open(t, domain.ChannelWhatsApp, cloudConfig(server.URL)).Send(t.Context(), message(t, domain.ChannelWhatsApp), "4915112345678")
			require.Equal(t, c.want, failure.ClassOf(err), "%v", err)
			require.NotContains(t, err.Error(), token)
		})
	}
}

// Every kind of channel over HTTP tells passing trouble from what stays, in time, and without its secrets.
func TestTroubleOverHTTPIsClassifiedInTimeAndWithoutSecrets(t *testing.T) {
	redirect := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }
	cut := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   failure.Class // "" is success
		after  time.Duration
	}{
		"it refuses what it gets":          {notifytest.Say(400, "no_text"), failure.ConfigInvalid, 0},
		"it refuses the credentials":       {notifytest.Say(401, `{"status":401,"error":"Unauthorized","response":{"message":"Unauthorized"}}`), failure.AuthFailed, 0},
		"it forbids it":                    {notifytest.Say(403, "action_prohibited"), failure.AuthFailed, 0},
		"it is not there":                  {notifytest.Say(404, `{"status":404,"error":"Not Found","response":{"message":["The \"main\" instance does not exist"]}}`), failure.NotFound, 0},
		"it is gone":                       {notifytest.Say(410, "channel_is_archived"), failure.NotFound, 0},
		"it has had enough":                {notifytest.Later("30"), failure.Unreachable, 30 * time.Second},
		"it has had enough until tomorrow": {notifytest.Later("86400"), failure.Unreachable, time.Hour},
		"it is broken":                     {notifytest.Say(500, "oops"), failure.Unreachable, 0},
		"it sends elsewhere":               {redirect, failure.ConfigInvalid, 0},
		"it hangs up":                      {cut, failure.Unreachable, 0},
		"it says nothing":                  {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, failure.Timeout, 0},
		"it takes it and trickles":         {notifytest.Trickle(20 * time.Millisecond), "", 0},
		"it says too much":                 {notifytest.Huge, "", 0},
		"its headers trickle":              {notifytest.TrickleHeaders, failure.Timeout, 0},
		"its headers have no end":          {notifytest.HugeHeaders, failure.Unreachable, 0},
	} {
		server := notifytest.HTTP(t, c.answer)
		for kind, send := range httpChannels(t, server.URL) {
			t.Run(name+"/"+kind, func(t *testing.T) {
				before, started := len(server.Received()), time.Now()
				answer, err := send()
				require.Less(t, time.Since(started), patience+5*time.Second)
				require.Len(t, server.Received(), before+1, "a redirect is not followed")
				require.LessOrEqual(t, len(answer), 400)
				if c.want == "" {
					require.NoError(t, err)
					return
				}
				require.Error(t, err)
				require.Equal(t, c.want, failure.ClassOf(err), "%v", err)
				require.Equal(t, c.after, notify.RetryAfter(err))
				require.NotEmpty(t, failure.HintOf(err))
				for _, hidden := range []string{token, secret, "secret-path-1"} {
					require.NotContains(t, failure.Message(err)+answer, hidden)
				}
			})
		}
	}
}

func TestNobodyIsReachedWithoutTLSThatIsTrusted(t *testing.T) {
	server := notifytest.HTTPS(t, notifytest.Say(http.StatusOK, ""))
	for kind, send := range httpChannels(t, server.URL) {
		_, err := send()
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%s: %v", kind, err)
	}
	require.Empty(t, server.Received())
	trusting := webhookConfig(server.URL)
	trusting.CACertificate = server.CA()
	_, err := open(t, domain.ChannelWebhook, trusting).Send(t.Context(), message(t, domain.ChannelWebhook), "")
	require.NoError(t, err)

	plain := notifytest.HTTP(t, notifytest.Say(http.StatusOK, ""))
	for kind, send := range httpChannels(t, strings.Replace(plain.URL, "http:", "https:", 1)) {
		_, err := send()
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%s: %v", kind, err)
	}
	require.Empty(t, plain.Received())
	broken := webhookConfig(server.URL)
	broken.CACertificate = "no certificate"
	_, err = channels.Open(domain.ChannelWebhook, broken, patience)
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err))
}

func TestMetadataServicesAreRefusedUnlessAllowed(t *testing.T) {
	for kind, send := range httpChannels(t, "http://169.254.169.254") {
		_, err := send()
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%s: %v", kind, err)
	}
	mail := domain.ChannelConfig{Host: "169.254.169.254", Encryption: domain.MailPlain, From: "a@example.com", To: []string{"b@example.com"}}
	_, err := open(t, domain.ChannelSMTP, mail).Send(t.Context(), message(t, domain.ChannelSMTP), mail.To[0])
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%v", err)
	allowed := webhookConfig("http://169.254.169.254")
	allowed.AllowLinkLocal = true
	_, err = open(t, domain.ChannelWebhook, allowed).Send(t.Context(), message(t, domain.ChannelWebhook), "")
	require.Error(t, err)
	require.NotEqual(t, failure.ConfigInvalid, failure.ClassOf(err), "it is tried, and nobody is there: %v", err)
}

func TestMailIsSentWithEveryEncryption(t *testing.T) {
	for _, encryption := range []string{domain.MailStartTLS, domain.MailTLS, domain.MailPlain} {
		t.Run(encryption, func(t *testing.T) {
			server := notifytest.Mail(t, encryption)
			channel := open(t, domain.ChannelSMTP, server.Config(encryption))
			require.Equal(t, []string{"ops@example.com", "boss@example.com"}, channel.Recipients())
			answer, err := channel.Send(t.Context(), message(t, domain.ChannelSMTP), "boss@example.com")
			require.NoError(t, err)
			require.NotEmpty(t, answer)
			messages, recipients, raw := server.Received()
			require.Len(t, messages, 1)
			require.Equal(t, []string{"boss@example.com"}, recipients[0])
			header := messages[0].Header
			require.Equal(t, "<dataguardian-delivery-1@example.com>", header.Get("Message-Id"))
			thread := "<dataguardian-execution-00000000-0000-7000-8000-000000000003@example.com>"
			require.Equal(t, thread, header.Get("References"))
			require.Equal(t, thread, header.Get("In-Reply-To"))
			subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
			require.NoError(t, err)
			require.Equal(t, "[DataGuardian] CRITICAL: Sample: backup failed", subject)
			require.Contains(t, header.Get("Content-Type"), "multipart/alternative")
			require.Contains(t, raw[0], "text/plain")
			require.Contains(t, raw[0], "text/html")
			require.Contains(t, strings.ReplaceAll(raw[0], "=\r\n", ""), "connect &lt;!channel&gt; &amp; fail", "the HTML is escaped")
			_, err = io.ReadAll(messages[0].Body)
			require.NoError(t, err)
		})
	}
}

func TestTroubleWithMailIsClassifiedInTimeAndWithoutSecrets(t *testing.T) {
	server := notifytest.Mail(t, domain.MailStartTLS)
	good := server.Config(domain.MailStartTLS)
	wrong, untrusted, nowhere, noTLS, otherName := good, good, good, good, good
	wrong.Password = "wrong-password-1"
	untrusted.CACertificate = ""
	nowhere.To = []string{"ops@nowhere.example"}
	plain := notifytest.Mail(t, domain.MailPlain)
	noTLS.Port = plain.Port
	otherName.Host = "localhost"
	speaksPlain := noTLS
	speaksPlain.Encryption = domain.MailTLS
	for name, c := range map[string]struct {
		config domain.ChannelConfig
		code   int
		want   failure.Class
	}{
		"the password is wrong":          {wrong, 0, failure.AuthFailed},
		"the certificate is not trusted": {untrusted, 0, failure.ConfigInvalid},
		"the certificate is another's":   {otherName, 0, failure.ConfigInvalid},
		"the server offers no TLS":       {noTLS, 0, failure.ConfigInvalid},
		"the server speaks no TLS":       {speaksPlain, 0, failure.ConfigInvalid},
		"nobody has the address":         {nowhere, 0, failure.ConfigInvalid},
		"the message is refused":         {good, 554, failure.ConfigInvalid},
		"the server is busy":             {good, 451, failure.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			server.FailWith(c.code, "no")
			_, err := open(t, domain.ChannelSMTP, c.config).Send(t.Context(), message(t, domain.ChannelSMTP), c.config.To[0])
			require.Equal(t, c.want, failure.ClassOf(err), "%v", err)
			require.NotContains(t, failure.Message(err), c.config.Password)
		})
	}
	messages, _, _ := server.Received()
	require.Empty(t, messages)
}

func TestAMailServerThatTricklesIsGivenUpOn(t *testing.T) {
	address := notifytest.TrickleTCP(t, 20*time.Millisecond)
	config := domain.ChannelConfig{Host: "127.0.0.1", Port: address.Port, Encryption: domain.MailPlain, From: "a@example.com", To: []string{"b@example.com"}}
	started := time.Now()
	_, err := open(t, domain.ChannelSMTP, config).Send(t.Context(), message(t, domain.ChannelSMTP), config.To[0])
	require.Equal(t, failure.Timeout, failure.ClassOf(err), "%v", err)
	require.Less(t, time.Since(started), 5*time.Second)
}

func TestEveryPairOfChannelAndTypeHasABuiltInText(t *testing.T) {
	for _, kind := range domain.ChannelTypes() {
		for _, event := range domain.NotificationTypes() {
			require.Empty(t, notify.Builtin(kind, event).Check(kind, event), "%s %s", kind, event)
			m, err := notify.Render(kind, nil, []notify.Event{notify.Sample(event, time.Now())})
			require.NoError(t, err)
			require.NotEmpty(t, m.Text)
			require.NotEmpty(t, m.Subject)
		}
	}
}
