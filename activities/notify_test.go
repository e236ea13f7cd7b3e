package activities_test

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
)

// courier delivers one notification after the other to a channel.
type courier struct {
	t       *testing.T
	d       *db.DB
	url     string
	channel db.Channel
	diesAt  string

	at         func(boundary string) // is told of each boundary; nil: nobody
	background context.Context       //nolint:containedctx // of the activities; nil: that of no worker
	within     time.Duration         // bounds the record of what was sent
	patience   time.Duration         // for one message; 0 is half a second
}

func newCourier(t *testing.T, kind domain.ChannelType, config domain.ChannelConfig) *courier {
	t.Helper()
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	dbtest.Execute(t, url, "INSERT INTO system_settings (key, value) VALUES ($1, '0')", domain.SettingNotifyGather)
	config.Normalize(kind)
	require.NoError(t, config.Validate(kind).OrNil())
	channel, err := d.CreateChannel(t.Context(), db.Channel{Name: "ops", Type: kind, Enabled: true, Config: config})
	require.NoError(t, err)
	return &courier{t: t, d: d, url: url, channel: channel}
}

// next makes a notification and takes its delivery.
func (c *courier) next() string {
	c.t.Helper()
	require.NoError(c.t, c.d.AddNotification(c.t.Context(), db.Notification{
		Type: domain.NotifyBackupFailed, Severity: domain.SeverityCritical, EntityType: domain.EntitySystem, Title: "Backup of orders failed", Message: "no route",
	}))
	_, err := c.d.DispatchNotifications(c.t.Context())
	require.NoError(c.t, err)
	next, err := c.d.NextDelivery(c.t.Context(), c.channel.ID)
	require.NoError(c.t, err)
	require.NotEmpty(c.t, next.ID)
	return next.ID
}

// deliver is one attempt.
func (c *courier) deliver(id string) error {
	c.t.Helper()
	acts := activities.New(activities.Options{
		DB: c.d, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Tuning: activities.Tuning{NotifyTimeout: cmp.Or(c.patience, 500*time.Millisecond)},
		Boundary: func(name string) {
			if c.at != nil {
				c.at(name)
			}
			if name == c.diesAt {
				panic("the worker dies at " + name)
			}
		},
	})
	acts.RecordWithin(c.within)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	if c.background != nil {
		env.SetWorkerOptions(worker.Options{BackgroundActivityContext: c.background})
	}
	contract.Deliver.Register(env, acts.Deliver)
	_, err := env.ExecuteActivity(contract.Deliver.Name, contract.DeliveryRef{DeliveryID: id})
	return err
}

func (c *courier) row(id string) db.Delivery {
	c.t.Helper()
	row, err := c.d.GetDelivery(c.t.Context(), id)
	require.NoError(c.t, err)
	return row
}

func hook(url string) domain.ChannelConfig {
	return domain.ChannelConfig{URL: url + "/hook/secret-path-1", Secret: "signing-key-1"}
}

func TestADeliveryIsRecordedWithItsLatencyAndTheAnswer(t *testing.T) {
	server := notifytest.HTTP(t, notifytest.Say(http.StatusOK, "thanks"))
	c := newCourier(t, domain.ChannelWebhook, hook(server.URL))
	id := c.next()
	require.NoError(t, c.deliver(id))
	require.NoError(t, c.deliver(id), "an attempt that comes late does nothing")
	require.Len(t, server.Received(), 1)
	row := c.row(id)
	require.Equal(t, domain.DeliverySent, row.Status)
	require.Equal(t, "200 OK thanks", row.Answer)
	require.NotNil(t, row.LatencyMS)
	require.EqualValues(t, 1, row.Attempts)
}

func TestTroubleThatStaysEndsADeliveryAndTroubleThatPassesDoesNot(t *testing.T) {
	server := notifytest.HTTP(t, notifytest.Say(http.StatusBadRequest, "invalid_payload token=hunter22"))
	c := newCourier(t, domain.ChannelWebhook, hook(server.URL))
	refused := c.next()
	require.NoError(t, c.deliver(refused), "there is nothing to try again")
	require.Equal(t, domain.DeliveryFailed, c.row(refused).Status)
	require.Contains(t, c.row(refused).ErrorMessage, "400 Bad Request invalid_payload")

	server.Answer(notifytest.Later("30"))
	later := c.next()
	err := c.deliver(later)
	var told *temporal.ApplicationError
	require.ErrorAs(t, err, &told)
	require.False(t, told.NonRetryable())
	require.Equal(t, 30*time.Second, told.NextRetryDelay())
	require.Equal(t, domain.DeliverySending, c.row(later).Status)
	require.Contains(t, c.row(later).ErrorMessage, "429", "people see why while it is tried again")
	server.Answer(notifytest.Say(http.StatusOK, ""))
	require.NoError(t, c.deliver(later))
	require.Equal(t, domain.DeliverySent, c.row(later).Status)
	require.Empty(t, c.row(later).ErrorMessage)
	for _, hidden := range []string{"hunter22", "secret-path-1", "signing-key-1"} {
		require.NotContains(t, c.row(refused).ErrorMessage+c.row(later).ErrorMessage+err.Error(), hidden)
	}
}

func TestANumberThatHasTheMessageDoesNotGetItAgain(t *testing.T) {
	first, second := "4915112345678", "4915187654321"
	broken := true
	server := notifytest.HTTP(t, notifytest.Say(http.StatusCreated, notifytest.EvolutionOK))
	c := newCourier(t, domain.ChannelWhatsApp, domain.ChannelConfig{
		Provider: domain.WhatsAppEvolution, APIURL: server.URL, APIKey: "evolution-key-1", Instance: "main", To: []string{first, second},
	})
	server.Answer(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if broken && strings.Contains(string(body), second) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	id := c.next()
	require.Error(t, c.deliver(id))
	broken = false
	require.NoError(t, c.deliver(id))
	require.Contains(t, c.row(id).Answer, "number ending in 4321: 201 Created")
	count := map[string]int{}
	for _, request := range server.Received() {
		for _, number := range []string{first, second} {
			if strings.Contains(string(request.Body), number) {
				count[number]++
			}
		}
	}
	require.Equal(t, map[string]int{first: 1, second: 2}, count)
}
