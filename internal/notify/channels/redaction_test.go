package channels_test

import (
	"io"
	"net/http"
	"strconv"
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

// leaky are channels over HTTP to a server that repeats their secret, which is the same for all.
func leaky(t *testing.T, url, hidden string) map[string]func() (string, error) {
	t.Helper()
	send := func(kind domain.ChannelType, config domain.ChannelConfig) func() (string, error) {
		return func() (string, error) {
			channel := calmly(t, kind, config)
			return channel.Send(t.Context(), message(t, kind), channel.Recipients()[0])
		}
	}
	evolution, cloud := evolutionConfig(url), cloudConfig(url)
	evolution.APIKey, cloud.AccessToken = hidden, hidden
	return map[string]func() (string, error){
		"the secret of a webhook":  send(domain.ChannelWebhook, domain.ChannelConfig{URL: url, Format: domain.WebhookJSON, Secret: hidden}),
		"a header of a webhook":    send(domain.ChannelWebhook, domain.ChannelConfig{URL: url, Format: domain.WebhookJSON, Headers: []domain.ChannelHeader{{Name: "Authorization", Value: "Bearer " + hidden}}}),
		"the address of a webhook": send(domain.ChannelWebhook, domain.ChannelConfig{URL: url + "/hook/" + hidden, Format: domain.WebhookJSON}),
		"the address of Slack's":   send(domain.ChannelWebhook, domain.ChannelConfig{URL: url + "/services/T0/B0/" + hidden, Format: domain.WebhookSlack}),
		"the key of Evolution API": send(domain.ChannelWhatsApp, evolution),
		"the token of Cloud API":   send(domain.ChannelWhatsApp, cloud),
		"a heartbeat's address":    func() (string, error) { return channels.Ping(t.Context(), url+"/"+hidden, time.Minute) },
	}
}

// requireHidden fails the test when as much as the first four characters of a secret are shown.
func requireHidden(t *testing.T, hidden, answer string, err error) {
	t.Helper()
	if err != nil {
		answer += failure.Message(err)
	}
	require.NotEmpty(t, answer)
	require.NotContains(t, answer, hidden[:4])
}

// A secret goes before the answer is cut, wherever it lies: of one that lies across the cut the beginning would stay.
func TestNoCutLeavesTheBeginningOfASecret(t *testing.T) {
	const hidden = "qzjk-signing/key-0123456789"
	answers := map[string]http.HandlerFunc{}
	for _, status := range []int{http.StatusOK, http.StatusBadRequest} {
		for _, before := range []int{200, 275, 280, 285, 290, 295, 299, 300, 310} {
			answers["after "+strconv.Itoa(before)+" characters of a "+strconv.Itoa(status)] = notifytest.Say(status, strings.Repeat("é", before)+hidden+" and more")
		}
		for _, part := range []int{1, 4, 10, len(hidden) - 1, len(hidden)} { // nothing but this is left when the spaces are one
			answers["across the end of what is read, "+strconv.Itoa(part)+", "+strconv.Itoa(status)] = notifytest.Say(status, strings.Repeat(" ", 64<<10-part)+hidden+strings.Repeat("x", 1000))
		}
		answers["in an answer that breaks off, "+strconv.Itoa(status)] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "no such key: "+hidden[:12])
		}
		answers["as PHP writes it in JSON, "+strconv.Itoa(status)] = notifytest.Say(status, strings.Repeat("x", 280)+strings.ReplaceAll(hidden, "/", `\/`))
	}
	for name, answer := range answers {
		server := notifytest.HTTP(t, answer)
		for kind, send := range leaky(t, server.URL, strings.ReplaceAll(hidden, "/", "%2F")) {
			if !strings.Contains(kind, "address") {
				send = leaky(t, server.URL, hidden)[kind]
			}
			said, err := send()
			requireHidden(t, hidden, said, err)
			require.Len(t, server.Received(), 1, "%s: %s", name, kind)
			server.Forget()
		}
	}
}

func TestAMailServerThatRepeatsThePasswordIsNotQuotedWithIt(t *testing.T) {
	server := notifytest.Mail(t, domain.MailStartTLS)
	config := server.Config(domain.MailStartTLS)
	for _, before := range []int{0, 200, 230, 240, 245, 250, 255, 260, 265, 270, 275, 280, 290, 300} {
		server.FailWith(554, strings.Repeat("x", before)+notifytest.MailPassword+" AUTH PLAIN AGRhdGFndWFyZGlhbgBtYWlsLXBhc3N3b3JkLTE=")
		_, err := calmly(t, domain.ChannelSMTP, config).Send(t.Context(), message(t, domain.ChannelSMTP), config.To[0])
		require.Error(t, err)
		require.NotContains(t, failure.Message(err), notifytest.MailPassword[:8])
		require.NotContains(t, failure.Message(err), "AGRhdGFn", "nor as it was signed in with")
	}
}

// A server may repeat a secret in the form that its own answer has.
func TestASecretIsHiddenInEveryFormInWhichServersRepeatIt(t *testing.T) {
	const hidden = `pä"ss/wö<r>&😀 d\"`
	for name, text := range map[string]string{
		"as it is": hidden, "in an address": "p%C3%A4%22ss%2Fw%C3%B6%3Cr%3E%26%F0%9F%98%80+d%5C%22", "in a path": "p%C3%A4%22ss%2Fw%C3%B6%3Cr%3E&%F0%9F%98%80%20d%5C%22",
		"in HTML": "pä&#34;ss/wö&lt;r&gt;&amp;😀 d\\&#34;", "in JSON": `pä\"ss/wö<r>&😀 d\\\"`, "in Go's JSON": `pä\"ss/wö\u003cr\u003e\u0026😀 d\\\"`,
		"in Python's JSON": `p\u00e4\"ss/w\u00f6<r>&\ud83d\ude00 d\\\"`, "in PHP's JSON": `p\u00e4\"ss\/w\u00f6<r>&\ud83d\ude00 d\\\"`,
	} {
		require.Equal(t, "no "+failure.Mask+" here", notify.Shown("no "+text+" here", false, []string{hidden}), name)
		for n := 1; n < len(text); n++ {
			require.Equal(t, "no "+failure.Mask, notify.Shown("no "+text[:n], true, []string{hidden}), "%s: %d", name, n)
		}
	}
}

func TestWhatIsShownIsOneShortLine(t *testing.T) {
	require.Equal(t, "a b c", notify.Shown(" a\r\n\tb\x00\x07 c ", false, nil))
	require.Equal(t, strings.Repeat("é", 299)+"…", notify.Shown(strings.Repeat("é", 301), false, nil))
	require.Equal(t, strings.Repeat("😀", 149)+"…", notify.Shown(strings.Repeat("😀", 151), false, nil))
	require.Equal(t, "\uFFFDx", notify.Shown("\xffx\xf0\x9f", true, nil), "a character that is cut in two is left out")
	require.Equal(t, "key "+failure.Mask, notify.Shown("key pässw\xc3", true, []string{"pässwörter"}))
	require.Equal(t, "key "+failure.Mask, notify.Shown("key two\nwords", false, []string{"two  words"}))
	require.Equal(t, "https://app:"+failure.Mask, notify.Shown("https://app:hunt", true, nil), "credentials by their form")
}
