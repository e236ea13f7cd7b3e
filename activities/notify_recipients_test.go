package activities_test

import (
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
)

// One recipient that the server refuses keeps the mail from nobody else, and is told; what is tried again goes to those
// only who have not got it.
func TestARecipientThatIsRefusedKeepsTheMailFromNobodyElse(t *testing.T) {
	server := notifytest.Mail(t, domain.MailPlain)
	config := server.Config(domain.MailPlain)
	config.To = []string{"ops@example.com", "gone@nowhere.example", "boss@example.com", "left@nowhere.example"}
	c := newCourier(t, domain.ChannelSMTP, config)
	id := c.next()
	c.diesAt = "notify.sent" // after the first mail
	require.Error(t, c.deliver(id))
	c.diesAt = ""
	require.NoError(t, c.deliver(id), "there is nothing to try again")
	row := c.row(id)
	require.Equal(t, domain.DeliveryFailed, row.Status)
	require.Contains(t, row.ErrorMessage, "recipient gone@nowhere.example")
	require.Contains(t, row.ErrorMessage, "recipient left@nowhere.example")
	require.Contains(t, row.ErrorMessage, "550")
	require.Contains(t, row.Answer, "recipient boss@example.com: ")
	require.Equal(t, []string{"ops@example.com", "boss@example.com"}, row.Reached)
	_, to, _ := server.Received()
	require.Equal(t, [][]string{{"ops@example.com"}, {"ops@example.com"}, {"boss@example.com"}}, to, "the first again, as its worker died before the record")

	again, err := c.d.Resend(t.Context(), id)
	require.NoError(t, err)
	next, err := c.d.NextDelivery(t.Context(), c.channel.ID)
	require.NoError(t, err)
	require.Equal(t, again.ID, next.ID)
	require.NoError(t, c.deliver(again.ID))
	_, to, _ = server.Received()
	require.Len(t, to, 3, "who has it does not get it again")
}

func TestCredentialsThatAreRefusedAreTriedOnce(t *testing.T) {
	server := notifytest.HTTP(t, notifytest.Say(http.StatusUnauthorized, ""))
	c := newCourier(t, domain.ChannelWhatsApp, domain.ChannelConfig{
		Provider: domain.WhatsAppEvolution, APIURL: server.URL, APIKey: "evolution-key-1", Instance: "main", To: []string{"4915112345678", "4915187654321"},
	})
	require.NoError(t, c.deliver(c.next()))
	require.Len(t, server.Received(), 1, "a lock-out would be everybody's")
}

func TestAServerThatIsSilentIsNotAskedForEveryRecipient(t *testing.T) {
	server := notifytest.HTTP(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := newCourier(t, domain.ChannelWhatsApp, domain.ChannelConfig{
		Provider: domain.WhatsAppEvolution, APIURL: server.URL, APIKey: "evolution-key-1", Instance: "main",
		To: []string{"4915112345671", "4915112345672", "4915112345673", "4915112345674"},
	})
	started := time.Now()
	require.Error(t, c.deliver(c.next()))
	require.Len(t, server.Received(), 2)
	require.Less(t, time.Since(started), 5*time.Second)
}

// sample is what a test of a channel answers.
func sample(t *testing.T, d *db.DB, channelID string) contract.ChannelTestResult {
	t.Helper()
	acts := activities.New(activities.Options{
		DB: d, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Tuning: activities.Tuning{NotifyTimeout: 500 * time.Millisecond},
	})
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	contract.SendSample.Register(env, acts.SendSample)
	value, err := env.ExecuteActivity(contract.SendSample.Name, contract.ChannelRef{ChannelID: channelID})
	require.NoError(t, err)
	var result contract.ChannelTestResult
	require.NoError(t, value.Get(&result))
	return result
}

// A sample goes through the real channel of each kind, and tells what the server said, good or bad.
func TestASampleOfEachKindTellsWhatTheServerSaid(t *testing.T) {
	const secret = "secret-of-the-channel"
	mail := notifytest.Mail(t, domain.MailStartTLS)
	refusing := mail.Config(domain.MailStartTLS)
	refusing.Password = secret
	partly := mail.Config(domain.MailStartTLS)
	partly.To = append(partly.To, "gone@nowhere.example")
	answering := func(status int, text string) string {
		return notifytest.HTTP(t, notifytest.Say(status, text)).URL + "/" + secret
	}
	evolution := func(url string) domain.ChannelConfig {
		return domain.ChannelConfig{Provider: domain.WhatsAppEvolution, APIURL: url, APIKey: secret, Instance: "main", To: []string{"4915112345678"}}
	}
	cloud := func(url string) domain.ChannelConfig {
		return domain.ChannelConfig{Provider: domain.WhatsAppCloud, APIURL: url, AccessToken: secret, PhoneNumberID: "1", To: []string{"4915112345678"}}
	}
	for name, c := range map[string]struct {
		kind         domain.ChannelType
		config       domain.ChannelConfig
		ok           bool
		says, answer string
	}{
		"mail":                        {domain.ChannelSMTP, mail.Config(domain.MailStartTLS), true, "", "recipient ops@example.com: "},
		"mail with a wrong password":  {domain.ChannelSMTP, refusing, false, "535", ""},
		"mail to somebody who left":   {domain.ChannelSMTP, partly, false, "recipient gone@nowhere.example", "recipient boss@example.com: "},
		"webhook":                     {domain.ChannelWebhook, domain.ChannelConfig{URL: answering(202, "queued"), Secret: secret}, true, "", "202 Accepted queued"},
		"webhook that refuses":        {domain.ChannelWebhook, domain.ChannelConfig{URL: answering(400, "bad "+secret), Secret: secret}, false, "400 Bad Request bad", ""},
		"Slack":                       {domain.ChannelWebhook, domain.ChannelConfig{URL: answering(200, notifytest.SlackOK), Format: domain.WebhookSlack}, true, "", "200 OK ok"},
		"Slack that is gone":          {domain.ChannelWebhook, domain.ChannelConfig{URL: answering(404, "no_service"), Format: domain.WebhookSlack}, false, "404 Not Found no_service", ""},
		"Evolution API":               {domain.ChannelWhatsApp, evolution(answering(201, notifytest.EvolutionOK)), true, "", "BAE594145F4C59B4"},
		"Evolution API with bad keys": {domain.ChannelWhatsApp, evolution(answering(401, `{"status":401,"error":"Unauthorized"}`)), false, "401 Unauthorized", ""},
		"Cloud API":                   {domain.ChannelWhatsApp, cloud(answering(200, notifytest.CloudOK)), true, "", "wamid."},
		"Cloud API with an old token": {domain.ChannelWhatsApp, cloud(answering(401, `{"error":{"message":"Session has expired","code":190}}`)), false, "Session has expired", ""},
	} {
		t.Run(name, func(t *testing.T) {
			told := newCourier(t, c.kind, c.config)
			result := sample(t, told.d, told.channel.ID)
			require.Equal(t, c.ok, result.OK, result.Message)
			require.Contains(t, result.Answer, c.answer)
			require.Contains(t, result.Message, c.says)
			require.Equal(t, c.ok, result.Hint == "", "what went wrong comes with what to do")
			require.NotContains(t, result.Answer+result.Message+result.Hint, secret)
			require.NotContains(t, result.Answer+result.Message+result.Hint, "4915112345678")
		})
	}
}
