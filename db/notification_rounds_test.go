package db_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// desk is the queue of one channel, without gathering.
type desk struct {
	t       *testing.T
	url     string
	d       *db.DB
	channel db.Channel
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	settle(t, url, nil)
	return &desk{t: t, url: url, d: d, channel: newChannel(t, d, "ops", domain.ChannelRules{})}
}

// tell writes notifications and makes their deliveries.
func (q *desk) tell(titles ...string) {
	q.t.Helper()
	for _, title := range titles {
		tell(q.t, q.d, db.Notification{Type: domain.NotifyBackupFailed, Title: title})
	}
	_, err := q.d.DispatchNotifications(q.t.Context())
	require.NoError(q.t, err)
}

// take takes the next delivery and tries it once; the titles are those that are told in its message.
func (q *desk) take() (next db.NextDelivery, titles []string) {
	q.t.Helper()
	next, err := q.d.NextDelivery(q.t.Context(), q.channel.ID)
	require.NoError(q.t, err)
	require.NotEmpty(q.t, next.ID, "waits %s", next.Wait)
	claimed, err := q.d.ClaimDelivery(q.t.Context(), next.ID)
	require.NoError(q.t, err)
	for _, n := range claimed.Notifications {
		titles = append(titles, n.Title)
	}
	return next, titles
}

func (q *desk) giveUp(id string) domain.DeliveryStatus {
	q.t.Helper()
	status, err := q.d.GiveUp(q.t.Context(), id, "the server answered 500")
	require.NoError(q.t, err)
	return status
}

func (q *desk) end(id string, status domain.DeliveryStatus) {
	q.t.Helper()
	require.NoError(q.t, q.d.FinishDelivery(q.t.Context(), id, db.DeliveryEnd{Status: status}))
}

// later moves everything that waits into the past.
func (q *desk) later(by string) {
	q.t.Helper()
	dbtest.Execute(q.t, q.url, "UPDATE notification_deliveries SET due_at = due_at - $1::interval, started_at = started_at - $1::interval", by)
}

// told are the titles of the notifications of a type.
func (q *desk) told(kind domain.NotificationType) (titles []string) {
	q.t.Helper()
	list, _, err := q.d.ListNotifications(q.t.Context(), db.NotificationFilter{Type: kind}, db.Page{})
	require.NoError(q.t, err)
	for _, n := range list {
		titles = append(titles, n.Title)
	}
	return titles
}

func TestWhatIsTriedInVainLetsOthersGoFirstAndFailsWhenItIsTooOld(t *testing.T) {
	q := newDesk(t)
	q.tell("poison")
	poison, _ := q.take()
	require.Equal(t, 10*time.Minute, poison.RetryFor)
	require.Equal(t, domain.DeliveryPending, q.giveUp(poison.ID))
	q.later("6 minutes")
	q.tell("good")
	good, titles := q.take()
	require.Equal(t, []string{"good"}, titles, "although the other one is older")
	q.end(good.ID, domain.DeliverySent)
	again, titles := q.take()
	require.Equal(t, poison.ID, again.ID)
	require.Equal(t, []string{"poison"}, titles)
	require.Equal(t, 2*time.Minute, again.RetryFor)
	q.later("7 hours")
	require.Equal(t, domain.DeliveryFailed, q.giveUp(poison.ID))
	row, err := q.d.GetDelivery(t.Context(), poison.ID)
	require.NoError(t, err)
	require.Equal(t, "given up: the server answered 500", row.ErrorMessage)
}

func TestWhatArrivesAfterItWasPostponedIsNotSentAgain(t *testing.T) {
	q := newDesk(t)
	q.tell("late")
	next, _ := q.take()
	q.giveUp(next.ID)
	q.end(next.ID, domain.DeliverySent)
	require.Equal(t, []domain.DeliveryStatus{"sent"}, statuses(deliveries(t, q.d, db.DeliveryFilter{})))
}

func TestWhatGathersWhileAChannelIsDownIsOneMessageThatAFreshDeliveryLeads(t *testing.T) {
	q := newDesk(t)
	q.tell("first")
	first, _ := q.take()
	q.giveUp(first.ID)
	q.later("6 minutes")
	q.tell("a", "b", "c", "d", "e")
	digest, titles := q.take()
	require.Equal(t, []string{"first", "a", "b", "c", "d", "e"}, titles)
	require.NotEqual(t, first.ID, digest.ID, "who got the first one after all would take the digest for its repetition")
	q.giveUp(digest.ID) // the others stay with it
	q.later("6 minutes")
	q.tell("f", "g", "h", "i", "j")
	larger, titles := q.take()
	require.Len(t, titles, 11, "also what was to be told with the one before")
	q.end(larger.ID, domain.DeliverySent)
	for _, one := range deliveries(t, q.d, db.DeliveryFilter{}) {
		require.Equal(t, domain.DeliverySent, one.Status)
	}
}

func TestWhatGoesWithADigestThatWaitsIsDroppedWithItsChannel(t *testing.T) {
	q := newDesk(t)
	q.tell("a", "b", "c", "d", "e", "f")
	digest, _ := q.take()
	q.giveUp(digest.ID)
	q.channel.Enabled = false
	_, err := q.d.UpdateChannel(t.Context(), q.channel)
	require.NoError(t, err)
	for _, one := range deliveries(t, q.d, db.DeliveryFilter{}) {
		require.Equal(t, domain.DeliveryDropped, one.Status)
	}
}

func TestAServerIsNotAskedBeforeItWantsToBe(t *testing.T) {
	q := newDesk(t)
	q.tell("refused")
	refused, _ := q.take()
	require.NoError(t, q.d.NoteDeliveryError(t.Context(), refused.ID, "429", 40*time.Minute))
	q.giveUp(refused.ID)
	q.tell("another")
	next, err := q.d.NextDelivery(t.Context(), q.channel.ID)
	require.NoError(t, err)
	require.Empty(t, next.ID)
	require.InDelta(t, 40, next.Wait.Minutes(), 1)
}

func TestAChannelThatFailsIsToldOnceToTheOthersAndSoIsThatItWorks(t *testing.T) {
	q := newDesk(t)
	other := newChannel(t, q.d, "boss", domain.ChannelRules{})
	for i := range 3 {
		q.tell(fmt.Sprint(i))
		next, _ := q.take()
		q.end(next.ID, domain.DeliveryFailed)
	}
	require.Equal(t, []string{`Notification channel "ops" fails`}, q.told(domain.NotifyHealthDegraded))
	channel, err := q.d.GetChannel(t.Context(), q.channel.ID)
	require.NoError(t, err)
	require.NotNil(t, channel.FailingSince)
	for i := range 2 {
		q.tell(fmt.Sprint(i))
		next, _ := q.take()
		q.end(next.ID, domain.DeliverySent)
	}
	require.Equal(t, []string{`Notification channel "ops" works again`}, q.told(domain.NotifyConnectionRestored))
	_, err = q.d.DispatchNotifications(t.Context())
	require.NoError(t, err)
	require.Len(t, deliveries(t, q.d, db.DeliveryFilter{ChannelID: q.channel.ID}), 5, "not of itself")
	require.Len(t, deliveries(t, q.d, db.DeliveryFilter{ChannelID: other.ID}), 7)
}

func TestAChannelThatIsDownIsToldWhenThatLasts(t *testing.T) {
	q := newDesk(t)
	q.tell("a")
	for range 2 {
		next, _ := q.take()
		q.giveUp(next.ID)
		q.later("6 minutes")
	}
	require.Empty(t, q.told(domain.NotifyHealthDegraded))
	dbtest.Execute(t, q.url, "UPDATE notification_channels SET failing_since = failing_since - interval '21 minutes'")
	for range 2 {
		next, _ := q.take()
		q.giveUp(next.ID)
		q.later("6 minutes")
	}
	require.Len(t, q.told(domain.NotifyHealthDegraded), 1)
}

func TestAResendOfADigestIsTheDigest(t *testing.T) {
	q := newDesk(t)
	q.tell("a", "b", "c", "d", "e", "f")
	digest, titles := q.take()
	require.Len(t, titles, 6)
	q.end(digest.ID, domain.DeliverySent)
	asked := digest.ID
	for range 2 { // also one of a resend
		again, err := q.d.Resend(t.Context(), asked)
		require.NoError(t, err)
		asked = again.ID
		q.tell("another", "and another", "g", "h", "i", "j")
		next, fresh := q.take()
		require.Equal(t, again.ID, next.ID)
		require.Equal(t, titles, fresh, "nothing else goes with it")
		q.end(next.ID, domain.DeliverySent)
		next, _ = q.take()
		q.end(next.ID, domain.DeliverySent)
	}
	found := deliveries(t, q.d, db.DeliveryFilter{})
	one := found[1]
	require.Equal(t, digest.ID, *one.SentWith)
	single, err := q.d.Resend(t.Context(), one.ID)
	require.NoError(t, err)
	next, titles := q.take()
	require.Equal(t, single.ID, next.ID)
	require.Len(t, titles, 1)
}

func TestAResendOfWhatFailedIsForThoseWhoDidNotGetIt(t *testing.T) {
	q := newDesk(t)
	q.tell("a")
	next, _ := q.take()
	require.NoError(t, q.d.MarkReached(t.Context(), next.ID, "ops@example.com", "250 ok"))
	q.end(next.ID, domain.DeliveryFailed)
	again, err := q.d.Resend(t.Context(), next.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"ops@example.com"}, again.Reached)
	next, _ = q.take()
	q.end(next.ID, domain.DeliverySent)
	again, err = q.d.Resend(t.Context(), next.ID)
	require.NoError(t, err)
	require.Empty(t, again.Reached, "one of what everybody got is for everybody")
}

// What a worker has taken when its channel is deleted may arrive: it is not called dropped then.
func TestWhatIsOnItsWayWhenItsChannelGoesIsRecordedAsItEnds(t *testing.T) {
	q := newDesk(t)
	q.tell("arrives", "waits")
	next, _ := q.take()
	require.NoError(t, q.d.DeleteChannel(t.Context(), q.channel.ID))
	_, _, err := q.d.OpenDeliveries(t.Context())
	require.NoError(t, err)
	require.Equal(t, []domain.DeliveryStatus{"sending", "dropped"}, statuses(deliveries(t, q.d, db.DeliveryFilter{})))
	q.later("31 minutes") // nobody tries it any more
	_, _, err = q.d.OpenDeliveries(t.Context())
	require.NoError(t, err)
	require.Equal(t, []domain.DeliveryStatus{"dropped", "dropped"}, statuses(deliveries(t, q.d, db.DeliveryFilter{})))
	q.end(next.ID, domain.DeliveryFailed)
	require.Equal(t, []domain.DeliveryStatus{"dropped", "dropped"}, statuses(deliveries(t, q.d, db.DeliveryFilter{})), "the first end stays")
	q.end(next.ID, domain.DeliverySent)
	require.Equal(t, []domain.DeliveryStatus{"sent", "dropped"}, statuses(deliveries(t, q.d, db.DeliveryFilter{})), "but for what has arrived")
}

// Slowness and pools have no end that people are told of, or no entity; they flap all the same.
func TestAConditionThatFlapsIsCollapsed(t *testing.T) {
	for name, c := range map[string]struct {
		kind  domain.CheckedKind
		types []domain.NotificationType
		told  int // pending deliveries
	}{
		"a datasource that is slow now and then":     {domain.CheckedDatasource, []domain.NotificationType{domain.NotifyHealthDegraded}, 5},
		"a pool whose workers come and go":           {domain.CheckedPool, []domain.NotificationType{domain.NotifyConnectionLost, domain.NotifyConnectionRestored}, 7},
		"a storage location that fills now and then": {domain.CheckedStorage, []domain.NotificationType{domain.NotifyStorageFull, domain.NotifyConnectionRestored}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			q := newDesk(t)
			for i := range 12 {
				kind := c.types[i%len(c.types)]
				require.NoError(t, q.d.MoveHealth(t.Context(), c.kind, "0193b3a0-0000-7000-8000-000000000001", func(s domain.HealthState) (domain.HealthState, *db.Notification) {
					return s, &db.Notification{Type: kind, Severity: domain.SeverityOf(kind), EntityType: domain.EntitySystem, Title: string(kind)}
				}))
				q.tell()
			}
			var pending, collapsed int
			for _, one := range deliveries(t, q.d, db.DeliveryFilter{}) {
				switch one.Status {
				case domain.DeliveryPending:
					pending++
				case domain.DeliveryCollapsed:
					collapsed++
				}
			}
			require.Equal(t, c.told, pending)
			require.Equal(t, 12-c.told, collapsed)
		})
	}
}

func TestANotificationNamesWhatItIsAbout(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	e := newRunning(t, d, "orders")
	for name, c := range map[string]struct {
		about db.Notification
		want  map[string]any
	}{
		"a job":                 {db.Notification{EntityType: domain.EntityBackupJob, EntityID: *e.JobID}, map[string]any{"job": "orders", "job_id": *e.JobID, "datasource": "orders", "storage": "orders"}},
		"a datasource":          {db.Notification{EntityType: domain.EntityDatasource, EntityID: *e.DatasourceID}, map[string]any{"datasource": "orders", "job": nil}},
		"a storage location":    {db.Notification{EntityType: domain.EntityStorageLocation, EntityID: *e.StorageLocationID}, map[string]any{"storage": "orders", "datasource": nil}},
		"an execution":          {db.Notification{Metadata: map[string]any{"execution_id": e.ID}}, map[string]any{"job": "orders", "datasource": "orders", "storage": "orders"}},
		"what is gone":          {db.Notification{EntityType: domain.EntityBackupJob, EntityID: e.ID}, map[string]any{"job": nil}},
		"what has its own name": {db.Notification{Metadata: map[string]any{"execution_id": e.ID, "job": "mine"}}, map[string]any{"job": "mine"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.about.Type = domain.NotifyBackupFailed
			tell(t, d, c.about)
			list, _, err := d.ListNotifications(t.Context(), db.NotificationFilter{}, db.Page{Limit: 1})
			require.NoError(t, err)
			for key, value := range c.want {
				require.Equal(t, value, list[0].Metadata[key], key)
			}
		})
	}
}
