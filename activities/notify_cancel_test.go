package activities_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
)

// cancelledAt cancels the activity at a boundary.
func (c *courier) cancelledAt(boundary string) {
	ctx, cancel := context.WithCancel(c.t.Context())
	c.background = ctx
	c.at = func(name string) {
		if name == boundary {
			cancel()
		}
	}
}

func (c *courier) undisturbed() { c.background, c.at = nil, nil }

// A delivery that is cancelled, or whose workflow is terminated, when the server has taken the message is recorded as sent:
// whoever takes over sends nothing again.
func TestADeliveryThatIsCancelledWhenTheServerHasTakenItIsRecorded(t *testing.T) {
	eachKind(t, func(t *testing.T, r receiver, c *courier) {
		id := c.next()
		c.cancelledAt("notify.sent")
		_ = c.deliver(id) // which says one or the other
		require.Equal(t, domain.DeliverySent, c.row(id).Status)
		c.undisturbed()
		require.NoError(t, c.deliver(id))
		require.Len(t, r.got(), 1)
		require.EqualValues(t, 1, c.row(id).Attempts)
	})
}

// Of several recipients each that has it is recorded, and the others get it from whoever takes over.
func TestADeliveryThatIsCancelledBetweenTwoRecipientsGoesOnWithTheSecond(t *testing.T) {
	c, asked := phones(t, nil)
	id := c.next()
	c.cancelledAt("notify.sent")
	require.Error(t, c.deliver(id))
	row := c.row(id)
	require.Equal(t, domain.DeliverySending, row.Status)
	require.Equal(t, numbers[:1], row.Reached)
	c.undisturbed()
	require.NoError(t, c.deliver(id))
	require.Equal(t, domain.DeliverySent, c.row(id).Status)
	require.Equal(t, numbers, asked(), "each once")
}

// A delivery that is cancelled while the server thinks is not called failed: it is tried by whoever takes over.
func TestADeliveryThatIsCancelledWhileTheServerThinksIsTriedAgain(t *testing.T) {
	server := notifytest.HTTP(t, notifytest.Say(http.StatusOK, ""))
	c := newCourier(t, domain.ChannelWebhook, hook(server.URL))
	id := c.next()
	ctx, cancel := context.WithCancel(t.Context())
	c.background = ctx
	server.Answer(func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	require.Error(t, c.deliver(id))
	require.Equal(t, domain.DeliverySending, c.row(id).Status)
	c.undisturbed()
	server.Answer(notifytest.Say(http.StatusOK, ""))
	require.NoError(t, c.deliver(id))
	require.Equal(t, domain.DeliverySent, c.row(id).Status)
	require.Equal(t, server.Received()[0].Header.Get("X-DataGuardian-Delivery"), server.Received()[1].Header.Get("X-DataGuardian-Delivery"))
}

// The record has a time limit of its own: a catalogue that is locked does not hold a cancelled delivery for ever.
func TestTheRecordOfADeliveryIsBounded(t *testing.T) {
	server := notifytest.HTTP(t, notifytest.Say(http.StatusOK, ""))
	c := newCourier(t, domain.ChannelWebhook, hook(server.URL))
	id := c.next()
	c.within = 200 * time.Millisecond
	conn, err := pgx.Connect(t.Context(), c.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	c.cancelledAt("notify.sent")
	cancelled := c.at
	var locked error
	c.at = func(name string) {
		if name == "notify.sent" {
			_, locked = conn.Exec(t.Context(), "BEGIN; SELECT FROM notification_channels FOR UPDATE")
		}
		cancelled(name)
	}
	started := time.Now()
	require.Error(t, c.deliver(id))
	require.NoError(t, locked)
	require.Less(t, time.Since(started), 8*time.Second, "recordLimit is ten")
	_, err = conn.Exec(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	require.Equal(t, domain.DeliverySending, c.row(id).Status)
}
