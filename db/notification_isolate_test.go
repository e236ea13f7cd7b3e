package db_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

const ofBad = "(SELECT title FROM notifications WHERE id = NEW.notification_id) = 'bad'"

// refuse refuses new rows of a table with a SQLSTATE.
func (q *desk) refuse(table, code, when string) {
	q.t.Helper()
	dbtest.Execute(q.t, q.url, fmt.Sprintf(`CREATE OR REPLACE FUNCTION refuse_%s() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF %s THEN RAISE EXCEPTION 'this row is bad' USING ERRCODE = '%s'; END IF;
			RETURN NEW;
		END $$`, table, when, code))
	dbtest.Execute(q.t, q.url, fmt.Sprintf("CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION refuse_%[1]s()", table))
}

// What the database can not do for any row is no fault of one: it is tried again.
func TestWhatIsNotTheRowsFaultIsTriedAgain(t *testing.T) {
	q := newDesk(t)
	for code, itsFault := range map[string]bool{
		"22001": true, "23514": true, "P0001": true, "57014": true,
		"42501": false, "42P01": false, "0A000": false, "25006": false, "XX000": false, "55P03": false, "P0003": false, "23503": false,
	} {
		dbtest.Execute(t, q.url, "DELETE FROM notifications")
		q.refuse("notification_deliveries", code, "NEW.status = 'pending' AND "+ofBad)
		tell(t, q.d, db.Notification{Type: domain.NotifyBackupFailed, Title: "bad"})
		_, err := q.d.DispatchNotifications(t.Context())
		if itsFault {
			require.NoError(t, err, code)
			require.Equal(t, domain.DeliveryFailed, deliveries(t, q.d, db.DeliveryFilter{})[0].Status, code)
			continue
		}
		require.Error(t, err, code)
		require.Empty(t, deliveries(t, q.d, db.DeliveryFilter{}), code)
		q.refuse("notification_deliveries", code, "false")
		q.tell()
		require.Equal(t, []domain.DeliveryStatus{domain.DeliveryPending}, statuses(deliveries(t, q.d, db.DeliveryFilter{})), code)
	}
}

// Where not even the failure can be recorded, whoever dispatches hears of it, and the others go on.
func TestAFailureThatCanNotBeRecordedIsReturned(t *testing.T) {
	q := newDesk(t)
	q.refuse("notification_deliveries", "22001", ofBad)
	q.refuse("notifications", "22001", "NEW.title LIKE 'A notification could not be sent%'")
	tell(t, q.d, db.Notification{Type: domain.NotifyBackupFailed, Title: "bad"})
	tell(t, q.d, db.Notification{Type: domain.NotifyBackupFailed, Title: "behind"})
	taken, err := q.d.DispatchNotifications(t.Context())
	require.ErrorContains(t, err, "could not be recorded")
	require.ErrorContains(t, err, "this row is bad")
	require.Equal(t, 2, taken)
	_, titles := q.take()
	require.Equal(t, []string{"behind"}, titles)
	q.tell()
}

// One notification whose deliveries can not be made stops none behind it; it is in the history, and people are told.
func TestANotificationThatCanNotBeHandedOnStopsNoneBehindIt(t *testing.T) {
	q := newDesk(t)
	q.refuse("notification_deliveries", "P0001", "NEW.status = 'pending' AND "+ofBad)
	newChannel(t, q.d, "some tags", domain.ChannelRules{Tags: []string{"production"}})
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

	q.refuse("notification_deliveries", "P0001", "false")
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

// Heartbeats that fail keep none from its first try, however many they are.
func TestAHeartbeatThatWasNotTriedComesFirst(t *testing.T) {
	q := newDesk(t)
	dbtest.Execute(t, q.url, `INSERT INTO notifications (id, type, severity, entity_type, title, dispatched_at)
		SELECT gen_random_uuid(), 'backup_success', 'info', 'system', g::text, now() FROM generate_series(1, 501) g`)
	dbtest.Execute(t, q.url, `INSERT INTO notification_deliveries (id, notification_id, channel_name, channel_type, attempts, created_at)
		SELECT gen_random_uuid(), id, title, 'heartbeat', least(501 - title::int, 1), now() + title::int * interval '1 second' FROM notifications`)
	_, open, err := q.d.OpenDeliveries(t.Context())
	require.NoError(t, err)
	require.Len(t, open, 500)
	first, err := q.d.GetDelivery(t.Context(), open[0])
	require.NoError(t, err)
	require.Equal(t, "501", first.ChannelName)
}
