package activities_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
)

var numbers = []string{"4915112345671", "4915112345672", "4915112345673", "4915112345674"}

// phones is a WhatsApp server that answers each number as said tells, and takes what that says nothing of.
func phones(t *testing.T, said map[string]http.HandlerFunc) (c *courier, asked func() []string) {
	t.Helper()
	numberOf := func(body []byte) string {
		return numbers[slices.IndexFunc(numbers, func(n string) bool { return strings.Contains(string(body), n) })]
	}
	server := notifytest.HTTP(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if answer := said[numberOf(body)]; answer != nil {
			answer(w, r)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	c = newCourier(t, domain.ChannelWhatsApp, domain.ChannelConfig{
		Provider: domain.WhatsAppEvolution, APIURL: server.URL, APIKey: "evolution-key-1", Instance: "main", To: numbers,
	})
	return c, func() (asked []string) {
		for _, request := range server.Received() {
			asked = append(asked, numberOf(request.Body))
		}
		return asked
	}
}

// states are what is recorded of each number.
func (c *courier) states(id string) (states []domain.RecipientState) {
	c.t.Helper()
	row := c.row(id)
	for _, number := range numbers {
		states = append(states, row.Outcomes[number].State)
	}
	return states
}

// Who is refused for good is told and recorded although another one has to be tried again, and is not tried with them.
func TestARecipientThatIsRefusedForGoodIsToldWhileAnotherIsTriedAgain(t *testing.T) {
	said := map[string]http.HandlerFunc{
		numbers[0]: notifytest.Say(http.StatusBadRequest, "not on WhatsApp, evolution-key-1, +"+numbers[0]+", "+numbers[0]+"@s.whatsapp.net"),
		numbers[1]: notifytest.Say(http.StatusCreated, `{"remoteJid":"`+numbers[1]+`@s.whatsapp.net"}`),
		numbers[2]: notifytest.Say(http.StatusServiceUnavailable, "busy"),
	}
	c, asked := phones(t, said)
	id := c.next()
	err := c.deliver(id)
	require.ErrorContains(t, err, "busy")
	require.ErrorContains(t, err, "not on WhatsApp")
	row := c.row(id)
	require.Equal(t, domain.DeliverySending, row.Status)
	require.Contains(t, row.ErrorMessage, "number ending in 5671")
	require.Contains(t, row.ErrorMessage, "number ending in 5673")
	require.Equal(t, []domain.RecipientState{"refused", "sent", "failed", "sent"}, c.states(id))
	require.Contains(t, row.Outcomes[numbers[0]].Said, "400 Bad Request not on WhatsApp")
	require.Contains(t, row.Outcomes[numbers[1]].Said, "201 Created")
	require.NotContains(t, row.Outcomes[numbers[0]].Said, "evolution-key-1")
	for _, number := range numbers {
		require.NotContains(t, row.Outcomes[number].Said+row.ErrorMessage+err.Error(), number)
	}

	delete(said, numbers[2])
	require.NoError(t, c.deliver(id), "there is nothing to try again")
	row = c.row(id)
	require.Equal(t, domain.DeliveryFailed, row.Status, "somebody did not get it")
	require.Contains(t, row.ErrorMessage, "number ending in 5671")
	require.Contains(t, row.ErrorMessage, "not on WhatsApp")
	require.NotContains(t, row.Answer+row.ErrorMessage, numbers[0][:10])
	require.Equal(t, []domain.RecipientState{"refused", "sent", "sent", "sent"}, c.states(id))
	require.Equal(t, []string{numbers[0], numbers[1], numbers[2], numbers[3], numbers[2]}, asked())

	// Somebody has put it right: a resend is for who was refused.
	delete(said, numbers[0])
	again, err := c.d.Resend(t.Context(), id)
	require.NoError(t, err)
	_, err = c.d.NextDelivery(t.Context(), c.channel.ID)
	require.NoError(t, err)
	require.NoError(t, c.deliver(again.ID))
	require.Equal(t, domain.DeliverySent, c.row(again.ID).Status)
	require.Equal(t, numbers[0], asked()[5])
	require.Len(t, asked(), 6)
}

// A server that has enough is left alone for as long as it says; those whose turn it was not come first then.
func TestAServerThatHasEnoughIsLeftAloneAndTheOthersComeFirstThen(t *testing.T) {
	said := map[string]http.HandlerFunc{numbers[1]: notifytest.Later("30")}
	c, asked := phones(t, said)
	id := c.next()
	for range 2 {
		var told *temporal.ApplicationError
		require.ErrorAs(t, c.deliver(id), &told)
		require.Equal(t, 30*time.Second, told.NextRetryDelay())
	}
	require.Equal(t, []string{numbers[0], numbers[1], numbers[2], numbers[3], numbers[1]}, asked())
	require.Equal(t, []domain.RecipientState{"sent", "failed", "sent", "sent"}, c.states(id))
	delete(said, numbers[1])
	require.NoError(t, c.deliver(id))
	require.Equal(t, domain.DeliverySent, c.row(id).Status)
	require.Len(t, asked(), 6)
}

// The time that a server names is kept, also when it is not the first one's trouble that is told.
func TestTheWaitThatAServerAsksForIsKeptBehindAnotherTrouble(t *testing.T) {
	c, asked := phones(t, map[string]http.HandlerFunc{
		numbers[0]: notifytest.Say(http.StatusInternalServerError, "oops"), numbers[1]: notifytest.Later("120"),
	})
	var told *temporal.ApplicationError
	require.ErrorAs(t, c.deliver(c.next()), &told)
	require.Contains(t, told.Message(), "oops")
	require.Equal(t, 2*time.Minute, told.NextRetryDelay())
	require.Len(t, asked(), 2)
}

func TestAMailThatSomeAreRefusedIsTriedAgainForTheOthersOnly(t *testing.T) {
	server := notifytest.Mail(t, domain.MailPlain)
	config := server.Config(domain.MailPlain)
	config.To = []string{"gone@nowhere.example", "ops@example.com"}
	c := newCourier(t, domain.ChannelSMTP, config)
	id := c.next()
	server.FailWith(451, "greylisted")
	require.ErrorContains(t, c.deliver(id), "greylisted")
	refused := c.row(id).Outcomes["gone@nowhere.example"]
	require.Equal(t, domain.RecipientRefused, refused.State)
	require.Contains(t, refused.Said, "550")
	server.FailWith(0, "")
	require.NoError(t, c.deliver(id))
	row := c.row(id)
	require.Equal(t, domain.DeliveryFailed, row.Status)
	require.Contains(t, row.ErrorMessage, "recipient gone@nowhere.example")
	require.Equal(t, refused, row.Outcomes["gone@nowhere.example"], "which was not tried again")
	require.Equal(t, domain.RecipientSent, row.Outcomes["ops@example.com"].State)
	_, to, _ := server.Received()
	require.Equal(t, [][]string{{"ops@example.com"}}, to)
}

// A heartbeat says that a backup has completed just now; after a day without workers that is not so.
func TestAHeartbeatThatIsOldIsDropped(t *testing.T) {
	for age, want := range map[string]domain.DeliveryStatus{"50 minutes": domain.DeliverySent, "61 minutes": domain.DeliveryDropped} {
		t.Run(age, func(t *testing.T) {
			server := notifytest.HTTP(t, notifytest.Say(http.StatusOK, "OK"))
			c, id := newHeartbeat(t, server.URL+"/ping/1")
			dbtest.Execute(t, c.url, "UPDATE notifications SET created_at = now() - $1::interval", age)
			require.NoError(t, c.deliver(id))
			require.Equal(t, want, c.row(id).Status)
			require.Len(t, server.Received(), map[domain.DeliveryStatus]int{domain.DeliverySent: 1}[want])
			if want == domain.DeliverySent {
				return
			}
			require.Contains(t, c.row(id).ErrorMessage, "older than an hour")
			again, err := c.d.Resend(t.Context(), id)
			require.NoError(t, err)
			require.NoError(t, c.deliver(again.ID))
			require.Len(t, server.Received(), 1, "somebody has asked for it")
		})
	}
}

// newHeartbeat is that of a completed backup.
func newHeartbeat(t *testing.T, url string) (c *courier, id string) {
	t.Helper()
	s := newSite(t)
	s.setJob(func(j *db.BackupJob) { j.BackupOptions.HeartbeatURL = url })
	require.NoError(t, s.d.AddNotification(t.Context(), db.Notification{
		Type: domain.NotifyBackupSuccess, Severity: domain.SeverityInfo, EntityType: domain.EntityBackupJob, EntityID: s.job.ID, Title: "Backup of orders completed",
		Metadata: map[string]any{"execution_id": "0193b3a0-0000-7000-8000-000000000001"},
	}))
	_, err := s.d.DispatchNotifications(t.Context())
	require.NoError(t, err)
	_, beats, err := s.d.OpenDeliveries(t.Context())
	require.NoError(t, err)
	require.Len(t, beats, 1)
	return &courier{t: t, d: s.d, url: s.url}, beats[0]
}

// There is no later attempt for the others when nobody has trouble that may pass.
func TestARefusalThatNamesATimeEndsNoAttempt(t *testing.T) {
	c, asked := phones(t, map[string]http.HandlerFunc{numbers[0]: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusBadRequest)
	}})
	id := c.next()
	require.NoError(t, c.deliver(id))
	require.Equal(t, numbers, asked())
	require.Equal(t, []domain.RecipientState{"refused", "sent", "sent", "sent"}, c.states(id))
}

// People are to see that whoever watches was not reached, and why.
func TestAHeartbeatThatFailedForAnHourHasFailed(t *testing.T) {
	server := notifytest.HTTP(t, notifytest.Say(http.StatusServiceUnavailable, "busy"))
	c, id := newHeartbeat(t, server.URL+"/ping/1")
	require.Error(t, c.deliver(id))
	dbtest.Execute(t, c.url, "UPDATE notifications SET created_at = now() - interval '61 minutes'")
	require.NoError(t, c.deliver(id))
	row := c.row(id)
	require.Equal(t, domain.DeliveryFailed, row.Status)
	require.Contains(t, row.ErrorMessage, "busy")
	require.Contains(t, row.ErrorMessage, "older than an hour")
	require.Len(t, server.Received(), 1)
}
