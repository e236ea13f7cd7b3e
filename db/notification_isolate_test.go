package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// One notification whose deliveries can not be made stops none behind it; it is in the history, and people are told.
func TestANotificationThatCanNotBeHandedOnStopsNoneBehindIt(t *testing.T) {
	q := newDesk(t)
	dbtest.Execute(t, q.url, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF NEW.status = 'pending' AND (SELECT title FROM notifications WHERE id = NEW.notification_id) = 'bad' THEN
				RAISE EXCEPTION 'this row is bad';
			END IF;
			RETURN NEW;
		END $$`)
	dbtest.Execute(t, q.url, "CREATE TRIGGER refuse BEFORE INSERT ON notification_deliveries FOR EACH ROW EXECUTE FUNCTION refuse()")
	newChannel(t, q.d, "other jobs", domain.ChannelRules{Types: []domain.NotificationType{domain.NotifyCleanupCompleted}})
	q.tell("before", "bad", "behind")
	q.tell() // what tells of it

	var states []string
	for _, one := range deliveries(t, q.d, db.DeliveryFilter{}) {
		n, err := q.d.GetNotification(t.Context(), one.NotificationID)
		require.NoError(t, err)
		states = append(states, n.Title+": "+string(one.Status))
		if n.Title == "bad" {
			require.Contains(t, one.ErrorMessage, "it could not be made ready: ")
			require.Contains(t, one.ErrorMessage, "this row is bad")
		}
	}
	require.ElementsMatch(t, []string{"before: pending", "bad: failed", "behind: pending", "A notification could not be sent: bad: pending"}, states)
	list, _, err := q.d.ListNotifications(t.Context(), db.NotificationFilter{Type: domain.NotifyHealthDegraded}, db.Page{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, domain.SeverityCritical, list[0].Severity, "as what it tells of")

	dbtest.Execute(t, q.url, "DROP TRIGGER refuse ON notification_deliveries")
	failed := deliveries(t, q.d, db.DeliveryFilter{Status: domain.DeliveryFailed})
	again, err := q.d.Resend(t.Context(), failed[0].ID)
	require.NoError(t, err)
	for next := (db.NextDelivery{}); next.ID != again.ID; { // the others go first
		next, _ = q.take()
		q.end(next.ID, domain.DeliverySent)
	}
}

// What can not be read of a notification keeps nobody from reading the rest.
func TestANotificationWhoseMetadataCanNotBeReadIsToldAllTheSame(t *testing.T) {
	q := newDesk(t)
	tell(t, q.d, db.Notification{Type: domain.NotifyBackupFailed, Title: "odd"})
	dbtest.Execute(t, q.url, `UPDATE notifications SET metadata = '{"job": "nightly", "bytes": 1e999}'`)
	q.tell("behind")
	list, _, err := q.d.ListNotifications(t.Context(), db.NotificationFilter{}, db.Page{})
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "nightly", list[1].Metadata["job"])
	require.Contains(t, list[1].Metadata["metadata_error"], "can not be read")
	for _, want := range []string{"odd", "behind"} {
		next, titles := q.take()
		require.Equal(t, []string{want}, titles)
		q.end(next.ID, domain.DeliverySent)
	}
}

// A job that can not be read keeps nobody from being told of its backup; what is missing is its heartbeat alone.
func TestAHeartbeatThatCanNotBeMadeReadyStopsNothing(t *testing.T) {
	q := newDesk(t)
	e := newRunning(t, q.d, "orders")
	finish(t, q.d, e.ID, domain.Completed)
	dbtest.Execute(t, q.url, `UPDATE backup_jobs SET backup_options = backup_options || '{"heartbeat_url": "dgs1:00000000:AAAA"}'`)
	q.tell("behind")
	q.tell() // that of the heartbeat
	byStatus := map[domain.DeliveryStatus][]domain.ChannelType{}
	for _, one := range deliveries(t, q.d, db.DeliveryFilter{}) {
		byStatus[one.Status] = append(byStatus[one.Status], one.ChannelType)
	}
	require.Equal(t, map[domain.DeliveryStatus][]domain.ChannelType{
		domain.DeliveryPending: {domain.ChannelWebhook, domain.ChannelWebhook, domain.ChannelWebhook}, domain.DeliveryFailed: {domain.ChannelHeartbeat},
	}, byStatus)
}

// Whoever watches from outside hears of nothing but success.
func TestNoHeartbeatFollowsABackupThatFailedOrWasCancelled(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	for status, beats := range map[domain.ExecutionStatus]int{domain.Failed: 0, domain.Cancelled: 0, domain.Completed: 1} {
		e := newRunning(t, d, string(status))
		job, err := d.GetBackupJob(t.Context(), *e.JobID)
		require.NoError(t, err)
		job.BackupOptions.HeartbeatURL = "https://hc.example/ping/1"
		_, err = d.UpdateBackupJob(t.Context(), job)
		require.NoError(t, err)
		finish(t, d, e.ID, status)
		_, err = d.DispatchNotifications(t.Context())
		require.NoError(t, err)
		_, open, err := d.OpenDeliveries(t.Context())
		require.NoError(t, err)
		found := 0
		for _, id := range open {
			delivery, err := d.GetDelivery(t.Context(), id)
			require.NoError(t, err)
			n, err := d.GetNotification(t.Context(), delivery.NotificationID)
			require.NoError(t, err)
			if n.EntityID == job.ID {
				found++
			}
		}
		require.Equal(t, beats, found, status)
	}
}

// A channel whose secrets can not be opened, as when they were sealed under another key, is called by its name, and that
// messages to it do not go is told to the others.
func TestAChannelWhoseSecretsCanNotBeOpenedIsToldOf(t *testing.T) {
	q := newDesk(t)
	newChannel(t, q.d, "boss", domain.ChannelRules{})
	dbtest.Execute(t, q.url, "UPDATE notification_channels SET secrets = 'dgs1:00000000:AAAA', failing_since = now() - interval '1 hour' WHERE id = $1", q.channel.ID)
	q.tell("a")
	name, err := q.d.ChannelName(t.Context(), q.channel.ID)
	require.NoError(t, err)
	require.Equal(t, "ops", name)
	next, err := q.d.NextDelivery(t.Context(), q.channel.ID)
	require.NoError(t, err)
	_, err = q.d.ClaimDelivery(t.Context(), next.ID)
	require.ErrorIs(t, err, db.ErrWrongMasterKey)
	q.giveUp(next.ID)
	require.Equal(t, []string{`Notification channel "ops" fails`}, q.told(domain.NotifyHealthDegraded))
}
