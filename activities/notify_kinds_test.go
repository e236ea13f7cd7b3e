package activities_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
)

// receiver is a real server of one kind, with the channel that sends to it.
type receiver struct {
	kind   domain.ChannelType
	config domain.ChannelConfig
	works  func()
	busy   func()          // what it says may pass
	refuse func()          // what it says stays
	got    func() []string // the messages that it took or refused, as people read them
	ids    func() []string // what receivers can tell a second of the same by; nil for kinds without
}

// receivers are one of each kind.
func receivers(t *testing.T) map[string]receiver {
	t.Helper()
	all := map[string]receiver{"mail": mailReceiver(t)}
	for name, ok := range map[string]http.HandlerFunc{
		"webhook": notifytest.Say(http.StatusOK, ""), "Slack": notifytest.Say(http.StatusOK, notifytest.SlackOK),
		"Evolution API": notifytest.Say(http.StatusCreated, notifytest.EvolutionOK), "Cloud API": notifytest.Say(http.StatusOK, notifytest.CloudOK),
	} {
		server := notifytest.HTTP(t, ok)
		r := receiver{
			works: func() { server.Answer(ok) }, busy: func() { server.Answer(notifytest.Say(http.StatusServiceUnavailable, "busy")) },
			refuse: func() { server.Answer(notifytest.Say(http.StatusBadRequest, "refused")) },
			got: func() (texts []string) {
				for _, request := range server.Received() {
					texts = append(texts, readable(t, request.Body))
				}
				return texts
			},
		}
		switch name {
		case "webhook":
			r.kind, r.config = domain.ChannelWebhook, hook(server.URL)
			r.ids = func() (ids []string) {
				for _, request := range server.Received() {
					ids = append(ids, request.Header.Get("X-DataGuardian-Delivery"))
				}
				return ids
			}
		case "Slack":
			r.kind, r.config = domain.ChannelWebhook, domain.ChannelConfig{URL: server.URL + "/services/T0/B0/x", Format: domain.WebhookSlack}
		case "Evolution API":
			r.kind, r.config = domain.ChannelWhatsApp, domain.ChannelConfig{Provider: domain.WhatsAppEvolution, APIURL: server.URL, APIKey: "evolution-key-1", Instance: "main", To: []string{"4915112345678"}}
		case "Cloud API":
			r.kind, r.config = domain.ChannelWhatsApp, domain.ChannelConfig{Provider: domain.WhatsAppCloud, APIURL: server.URL, AccessToken: "cloud-token-1", PhoneNumberID: "1", To: []string{"4915112345678"}}
		}
		all[name] = r
	}
	return all
}

func mailReceiver(t *testing.T) receiver {
	t.Helper()
	server := notifytest.Mail(t, domain.MailPlain)
	config := server.Config(domain.MailPlain)
	config.To = []string{"ops@example.com"}
	return receiver{
		kind: domain.ChannelSMTP, config: config,
		works: func() { server.FailWith(0, "") }, busy: func() { server.FailWith(451, "busy") }, refuse: func() { server.FailWith(554, "refused") },
		got: func() (texts []string) {
			_, _, raw := server.Received()
			for _, text := range raw {
				texts = append(texts, strings.ReplaceAll(text, "=\r\n", ""))
			}
			return texts
		},
		ids: func() (ids []string) {
			messages, _, _ := server.Received()
			for _, message := range messages {
				ids = append(ids, message.Header.Get("Message-Id"))
			}
			return ids
		},
	}
}

// readable are all texts of a JSON document.
func readable(t *testing.T, document []byte) string {
	t.Helper()
	var texts []string
	var walk func(value any)
	walk = func(value any) {
		switch v := value.(type) {
		case string:
			texts = append(texts, v)
		case []any:
			for _, one := range v {
				walk(one)
			}
		case map[string]any:
			for _, one := range v {
				walk(one)
			}
		}
	}
	var value any
	require.NoError(t, json.Unmarshal(document, &value))
	walk(value)
	return strings.Join(texts, "\n")
}

func eachKind(t *testing.T, test func(t *testing.T, r receiver, c *courier)) {
	t.Helper()
	for name, r := range receivers(t) {
		t.Run(name, func(t *testing.T) { test(t, r, newCourier(t, r.kind, r.config)) })
	}
}

func TestADeliveryWhoseChannelGoesWhileItIsTriedIsDropped(t *testing.T) {
	eachKind(t, func(t *testing.T, r receiver, c *courier) {
		id := c.next()
		r.busy()
		require.Error(t, c.deliver(id))
		before := len(r.got())
		r.works()
		require.NoError(t, c.d.DeleteChannel(t.Context(), c.channel.ID))
		require.NoError(t, c.deliver(id))
		require.Equal(t, domain.DeliveryDropped, c.row(id).Status)
		require.Len(t, r.got(), before)
	})
}

func TestATemplateThatFailsKeepsNobodyFromBeingTold(t *testing.T) {
	eachKind(t, func(t *testing.T, r receiver, c *courier) {
		for i, body := range []string{"{{.Gone}}", "{{.Title"} { // of another version of the program
			_, err := c.d.AddTemplate(t.Context(), db.Template{Channel: r.kind, Type: domain.NotifyBackupFailed, Subject: "{{.Title}}", Body: body, IsActive: true})
			require.NoError(t, err)
			id := c.next()
			require.NoError(t, c.deliver(id))
			require.Equal(t, domain.DeliverySent, c.row(id).Status)
			require.Contains(t, c.row(id).ErrorMessage, "the built-in text was sent")
			require.Len(t, r.got(), i+1)
			require.Contains(t, r.got()[i], "no route")
		}
		r.busy()
		id := c.next()
		require.Error(t, c.deliver(id))
		require.Contains(t, c.row(id).ErrorMessage, "busy")
		require.Contains(t, c.row(id).ErrorMessage, "the built-in text was sent", "it is told of an attempt in vain too")
		r.refuse()
		require.NoError(t, c.deliver(id))
		require.Equal(t, domain.DeliveryFailed, c.row(id).Status)
		require.Contains(t, c.row(id).ErrorMessage, "the built-in text was sent")
	})
}

// What stays is told to whoever looks, and not tried again; what passes is tried until it has passed, and told once.
func TestTroubleOfEachKindEndsOrIsTriedAgain(t *testing.T) {
	eachKind(t, func(t *testing.T, r receiver, c *courier) {
		r.refuse()
		refused := c.next()
		require.NoError(t, c.deliver(refused), "there is nothing to try again")
		require.Equal(t, domain.DeliveryFailed, c.row(refused).Status)
		require.Contains(t, c.row(refused).ErrorMessage, "refused")

		later := c.next()
		r.busy()
		for range 2 {
			require.Error(t, c.deliver(later))
			require.Equal(t, domain.DeliverySending, c.row(later).Status)
			require.Contains(t, c.row(later).ErrorMessage, "busy")
		}
		r.works()
		require.NoError(t, c.deliver(later))
		require.Equal(t, domain.DeliverySent, c.row(later).Status)
		got := r.got()
		require.NotContains(t, got[len(got)-1], repeated, "the server said that it had not taken it")
	})
}

const repeated = "You may have had this message before"

// Between the server's answer and our record nothing can be known: it is sent again, with the same id, or, where there is
// none, saying that it may be a repetition.
func TestAWorkerThatDiesBeforeTheRecordSendsAgainSoThatItCanBeTold(t *testing.T) {
	eachKind(t, func(t *testing.T, r receiver, c *courier) {
		id := c.next()
		for _, at := range []string{"notify.claimed", "notify.sent", "notify.delivered", ""} { // before, after, and after the record
			c.diesAt = at
			err := c.deliver(id)
			require.Equal(t, at != "", err != nil, "%s: %v", at, err)
		}
		got := r.got()
		require.Len(t, got, 2, "the first attempt had not begun, the fourth has nothing to do")
		require.Equal(t, domain.DeliverySent, c.row(id).Status)
		require.NotContains(t, got[0], repeated)
		if r.ids == nil {
			require.Contains(t, got[1], repeated)
			return
		}
		require.NotContains(t, got[1], repeated)
		ids := r.ids()
		require.Equal(t, ids[0], ids[1])
		require.Contains(t, ids[0], id)
	})
}

// A request that no answer came to may have been done.
func TestAnAnswerThatDoesNotComeIsNoProofThatTheMessageDidNotArrive(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"silence":           func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a gateway's":       notifytest.Say(http.StatusGatewayTimeout, "no answer from upstream"),
		"a connection lost": hangUp,
	} {
		t.Run(name, func(t *testing.T) {
			server := notifytest.HTTP(t, answer)
			c := newCourier(t, domain.ChannelWhatsApp, domain.ChannelConfig{
				Provider: domain.WhatsAppEvolution, APIURL: server.URL, APIKey: "evolution-key-1", Instance: "main", To: []string{"4915112345678"},
			})
			id := c.next()
			require.Error(t, c.deliver(id))
			server.Answer(notifytest.Say(http.StatusCreated, notifytest.EvolutionOK))
			require.NoError(t, c.deliver(id))
			got := server.Received()
			require.NotContains(t, string(got[0].Body), repeated)
			require.Contains(t, string(got[1].Body), repeated)
		})
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = conn.Close()
	}
}
