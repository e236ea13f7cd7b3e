package db_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func newChannel(t *testing.T, d *db.DB, name string, rules domain.ChannelRules) db.Channel {
	t.Helper()
	rules.Normalize()
	created, err := d.CreateChannel(t.Context(), db.Channel{
		Name: name, Type: domain.ChannelWebhook, Enabled: true, Rules: rules,
		Config: domain.ChannelConfig{
			URL: "https://example.com/hook", Format: domain.WebhookJSON, Secret: "signing-secret-1",
			Headers: []domain.ChannelHeader{{Name: "X-Token", Value: "header-secret-1"}},
		},
	})
	require.NoError(t, err)
	return created
}

// settle lets deliveries go at once, one by one, and sets what else is given.
func settle(t *testing.T, url string, settings map[string]string) {
	t.Helper()
	put := func(key, value string) {
		dbtest.Execute(t, url, "INSERT INTO system_settings (key, value) VALUES ($1, $2::jsonb)", key, value)
	}
	put(domain.SettingNotifyGather, "0")
	for key, value := range settings {
		put(key, value)
	}
}

func tell(t *testing.T, d *db.DB, n db.Notification) {
	t.Helper()
	n.Severity = domain.SeverityOf(n.Type)
	if n.EntityType == "" {
		n.EntityType = domain.EntitySystem
	}
	if n.Title == "" {
		n.Title = string(n.Type)
	}
	require.NoError(t, d.AddNotification(t.Context(), n))
}

func deliveries(t *testing.T, d *db.DB, filter db.DeliveryFilter) []db.Delivery {
	t.Helper()
	found, _, err := d.ListDeliveries(t.Context(), filter, db.Page{Limit: db.MaxPageSize})
	require.NoError(t, err)
	slices.Reverse(found)
	return found
}

func statuses(found []db.Delivery) []domain.DeliveryStatus {
	var out []domain.DeliveryStatus
	for _, one := range found {
		out = append(out, one.Status)
	}
	return out
}

func TestTheSecretsOfAChannelAreSealedAndSurviveARekey(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	created := newChannel(t, d, "ops", domain.ChannelRules{})
	require.Equal(t, "signing-secret-1", created.Config.Secret)
	require.Equal(t, "header-secret-1", created.Config.Headers[0].Value)
	stored := everything(t, url)
	require.NotContains(t, stored, "signing-secret-1")
	require.NotContains(t, stored, "header-secret-1")
	require.NotContains(t, stored, "example.com/hook", "an address may be a token itself")
	require.Contains(t, stored, "X-Token")

	key := otherKey(t)
	_, err := db.Rekey(t.Context(), url, dbtest.Key(), key)
	require.NoError(t, err)
	after, err := db.Open(t.Context(), db.Config{URL: url, MasterKey: key})
	require.NoError(t, err)
	t.Cleanup(after.Close)
	read, err := after.GetChannel(t.Context(), created.ID)
	require.NoError(t, err)
	require.Equal(t, created.Config, read.Config)
}

func TestEveryNotificationHasOneDeliveryForEachChannelThatIsToldHoweverManyDispatch(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	all, critical := newChannel(t, d, "all", domain.ChannelRules{}), newChannel(t, d, "critical", domain.ChannelRules{MinimumSeverity: domain.SeverityCritical})
	const n = 40
	for i := range n {
		kind := domain.NotifyBackupSuccess
		if i%2 == 0 {
			kind = domain.NotifyBackupFailed
		}
		tell(t, d, db.Notification{Type: kind})
	}
	for _, err := range together(4, func(int) error { _, err := d.DispatchNotifications(t.Context()); return err }) {
		require.NoError(t, err)
	}
	require.Len(t, deliveries(t, d, db.DeliveryFilter{ChannelID: all.ID}), n)
	require.Len(t, deliveries(t, d, db.DeliveryFilter{ChannelID: critical.ID}), n/2)
	again, err := d.DispatchNotifications(t.Context())
	require.NoError(t, err)
	require.Zero(t, again)
}

func TestRulesAskForTagsAndJobs(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	job := newJob(t, d, "orders") // its datasource has the tag blue
	byTag, byOther := newChannel(t, d, "blue", domain.ChannelRules{Tags: []string{" Blue "}}), newChannel(t, d, "red", domain.ChannelRules{Tags: []string{"red"}})
	byJob, byType := newChannel(t, d, "job", domain.ChannelRules{JobIDs: []string{job.ID}}), newChannel(t, d, "type", domain.ChannelRules{Types: []domain.NotificationType{domain.NotifyCleanupCompleted}})
	tell(t, d, db.Notification{Type: domain.NotifyBackupFailed, EntityType: domain.EntityBackupJob, EntityID: job.ID})
	tell(t, d, db.Notification{Type: domain.NotifyRestoreSuccess, Metadata: map[string]any{"datasource_id": job.DatasourceID}})
	tell(t, d, db.Notification{Type: domain.NotifyConnectionLost, EntityType: domain.EntityDatasource, EntityID: job.DatasourceID})
	tell(t, d, db.Notification{Type: domain.NotifyCleanupCompleted})
	_, err := d.DispatchNotifications(t.Context())
	require.NoError(t, err)
	require.Len(t, deliveries(t, d, db.DeliveryFilter{ChannelID: byTag.ID}), 3)
	require.Empty(t, deliveries(t, d, db.DeliveryFilter{ChannelID: byOther.ID}))
	require.Len(t, deliveries(t, d, db.DeliveryFilter{ChannelID: byJob.ID}), 1)
	require.Len(t, deliveries(t, d, db.DeliveryFilter{ChannelID: byType.ID}), 1)
}

func TestAStormIsOneMessage(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	settle(t, url, nil)
	channels := []db.Channel{newChannel(t, d, "ops", domain.ChannelRules{}), newChannel(t, d, "boss", domain.ChannelRules{})}
	for i := range 200 {
		tell(t, d, db.Notification{Type: domain.NotifyBackupFailed, Title: fmt.Sprintf("backup %d failed", i)})
	}
	_, err := d.DispatchNotifications(t.Context())
	require.NoError(t, err)
	for _, channel := range channels {
		requireOneMessage(t, d, channel.ID, 200)
	}
}

// requireOneMessage takes what waits for a channel: one message, which tells so many.
func requireOneMessage(t *testing.T, d *db.DB, channelID string, notifications int) {
	t.Helper()
	next, err := d.NextDelivery(t.Context(), channelID)
	require.NoError(t, err)
	again, err := d.NextDelivery(t.Context(), channelID)
	require.NoError(t, err)
	require.Equal(t, next.ID, again.ID, "what was taken and has not ended comes first")
	claimed, err := d.ClaimDelivery(t.Context(), next.ID)
	require.NoError(t, err)
	require.Len(t, claimed.Notifications, notifications)
	require.NoError(t, d.FinishDelivery(t.Context(), next.ID, db.DeliveryEnd{Status: domain.DeliverySent, Answer: "200 OK"}))
	for _, one := range deliveries(t, d, db.DeliveryFilter{ChannelID: channelID}) {
		require.Equal(t, domain.DeliverySent, one.Status)
	}
	empty, err := d.NextDelivery(t.Context(), channelID)
	require.NoError(t, err)
	require.Empty(t, empty.ID)
	require.Zero(t, empty.Wait)
	_, err = d.ClaimDelivery(t.Context(), next.ID)
	require.ErrorIs(t, err, db.ErrNotFound, "what has ended is not sent again")
}

func TestAFewAreSentOneByOneAndTooManyInAMinuteWait(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	settle(t, url, map[string]string{domain.SettingNotifyPerMinute: "2"})
	channel := newChannel(t, d, "ops", domain.ChannelRules{})
	for range 3 {
		tell(t, d, db.Notification{Type: domain.NotifyBackupFailed})
	}
	_, err := d.DispatchNotifications(t.Context())
	require.NoError(t, err)
	for range 2 {
		next, err := d.NextDelivery(t.Context(), channel.ID)
		require.NoError(t, err)
		require.NotEmpty(t, next.ID)
		claimed, err := d.ClaimDelivery(t.Context(), next.ID)
		require.NoError(t, err)
		require.Len(t, claimed.Notifications, 1)
		require.NoError(t, d.FinishDelivery(t.Context(), next.ID, db.DeliveryEnd{Status: domain.DeliverySent}))
	}
	next, err := d.NextDelivery(t.Context(), channel.ID)
	require.NoError(t, err)
	require.Empty(t, next.ID)
	require.InDelta(t, 60, next.Wait.Seconds(), 5)
}

func TestADeliveryWaitsForOthersOfItsStorm(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	channel := newChannel(t, d, "ops", domain.ChannelRules{})
	tell(t, d, db.Notification{Type: domain.NotifyBackupFailed})
	_, err := d.DispatchNotifications(t.Context())
	require.NoError(t, err)
	next, err := d.NextDelivery(t.Context(), channel.ID)
	require.NoError(t, err)
	require.Empty(t, next.ID)
	require.InDelta(t, 5, next.Wait.Seconds(), 2)
}

func TestQuietHoursHoldBackWhatIsNotCritical(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	settle(t, url, nil)
	now := time.Now().UTC()
	channel := newChannel(t, d, "ops", domain.ChannelRules{QuietHours: &domain.QuietHours{
		From: now.Add(-time.Hour).Format("15:04"), To: now.Add(time.Hour).Format("15:04"),
	}})
	tell(t, d, db.Notification{Type: domain.NotifyBackupSuccess})
	_, err := d.DispatchNotifications(t.Context())
	require.NoError(t, err)
	next, err := d.NextDelivery(t.Context(), channel.ID)
	require.NoError(t, err)
	require.Empty(t, next.ID)
	require.InDelta(t, 60, next.Wait.Minutes(), 2)
	tell(t, d, db.Notification{Type: domain.NotifyBackupFailed})
	_, err = d.DispatchNotifications(t.Context())
	require.NoError(t, err)
	next, err = d.NextDelivery(t.Context(), channel.ID)
	require.NoError(t, err)
	claimed, err := d.ClaimDelivery(t.Context(), next.ID)
	require.NoError(t, err)
	require.Equal(t, domain.NotifyBackupFailed, claimed.Notifications[0].Type)
}

func TestAStateIsToldOnceAndAFlappingSourceIsCollapsed(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	settle(t, url, nil)
	channel := newChannel(t, d, "ops", domain.ChannelRules{})
	source := newDatasource(t, d, "orders")
	say := func(kind domain.NotificationType) {
		tell(t, d, db.Notification{Type: kind, EntityType: domain.EntityDatasource, EntityID: source.ID})
		_, err := d.DispatchNotifications(t.Context())
		require.NoError(t, err)
	}
	say(domain.NotifyConnectionLost)
	say(domain.NotifyConnectionLost)
	require.Equal(t, []domain.DeliveryStatus{"pending", "collapsed"}, statuses(deliveries(t, d, db.DeliveryFilter{ChannelID: channel.ID})))
	for range 5 {
		say(domain.NotifyConnectionRestored)
		say(domain.NotifyConnectionLost)
	}
	found := deliveries(t, d, db.DeliveryFilter{ChannelID: channel.ID})
	require.Len(t, found, 12)
	waiting := slices.DeleteFunc(slices.Clone(found), func(one db.Delivery) bool { return one.Status != domain.DeliveryPending })
	require.Len(t, waiting, 7, "the first, four changes, the one that says that it flaps, and where it stands at last")
	require.True(t, waiting[5].Flapping)
	last := waiting[6]
	require.Equal(t, found[11].ID, last.ID)
	require.InDelta(t, 10, time.Until(last.DueAt).Minutes(), 1)
}

func TestWhatWaitsForAChannelThatGoesIsDropped(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	gone, off := newChannel(t, d, "gone", domain.ChannelRules{}), newChannel(t, d, "off", domain.ChannelRules{})
	tell(t, d, db.Notification{Type: domain.NotifyBackupFailed})
	_, err := d.DispatchNotifications(t.Context())
	require.NoError(t, err)
	list, _, err := d.ListNotifications(t.Context(), db.NotificationFilter{}, db.Page{})
	require.NoError(t, err)
	var held *db.InUseError
	require.ErrorAs(t, d.DeleteNotification(t.Context(), list[0].ID), &held, "deleting it would keep others from being told")

	require.NoError(t, d.DeleteChannel(t.Context(), gone.ID))
	off.Enabled = false
	_, err = d.UpdateChannel(t.Context(), off)
	require.NoError(t, err)
	found := deliveries(t, d, db.DeliveryFilter{NotificationID: list[0].ID})
	require.Equal(t, []domain.DeliveryStatus{"dropped", "dropped"}, statuses(found))
	next, err := d.NextDelivery(t.Context(), gone.ID)
	require.NoError(t, err)
	require.Empty(t, next.ID)
	require.Zero(t, next.Wait)
	require.NoError(t, d.DeleteNotification(t.Context(), list[0].ID))
	require.Empty(t, deliveries(t, d, db.DeliveryFilter{}))
}

func TestADeliveryIsSentAgainOnRequest(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	settle(t, url, nil)
	channel := newChannel(t, d, "ops", domain.ChannelRules{})
	tell(t, d, db.Notification{Type: domain.NotifyBackupFailed})
	_, err := d.DispatchNotifications(t.Context())
	require.NoError(t, err)
	next, err := d.NextDelivery(t.Context(), channel.ID)
	require.NoError(t, err)
	var invalid domain.Invalid
	_, err = d.Resend(t.Context(), next.ID)
	require.ErrorAs(t, err, &invalid, "it is under way")
	require.NoError(t, d.FinishDelivery(t.Context(), next.ID, db.DeliveryEnd{Status: domain.DeliveryFailed, Message: "password=hunter22"}))
	again, err := d.Resend(t.Context(), next.ID)
	require.NoError(t, err)
	require.Equal(t, next.ID, *again.ResendOf)
	failed, err := d.GetDelivery(t.Context(), next.ID)
	require.NoError(t, err)
	require.NotContains(t, failed.ErrorMessage, "hunter22")
}

func TestTheEndOfAnExecutionIsToldOnceInItsTransaction(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	e := newRunning(t, d, "orders")
	for range 2 {
		require.NoError(t, d.FinishExecution(t.Context(), e.ID, db.Finish{Status: domain.Failed, ErrorMessage: "no route", FailureClass: "Unreachable", Hint: "Start it."}))
	}
	list, _, err := d.ListNotifications(t.Context(), db.NotificationFilter{ExecutionID: e.ID}, db.Page{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, domain.NotifyBackupFailed, list[0].Type)
	require.Equal(t, domain.SeverityCritical, list[0].Severity)
	require.Equal(t, *e.JobID, list[0].EntityID)
	require.Equal(t, "Backup of orders failed", list[0].Title)
	require.Equal(t, "no route", list[0].Message)
	for name, value := range map[string]any{"job": "orders", "datasource": "orders", "storage": "orders", "hint": "Start it.", "failure_class": "Unreachable", "trigger": "manual", "status": "failed"} {
		require.Equal(t, value, list[0].Metadata[name], name)
	}
}

func TestNobodyIsToldOfWhatTheyCancelledNorOfTheStepsOfSyncsAndDrills(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	cancelled := newRunning(t, d, "cancelled")
	finish(t, d, cancelled.ID, domain.Cancelled)
	for _, trigger := range []domain.Trigger{domain.TriggerSync, domain.TriggerDrill} {
		e, err := d.CreateExecution(t.Context(), db.Execution{Metadata: domain.ExecutionMetadata{Operation: domain.OperationRestore, Trigger: trigger}})
		require.NoError(t, err)
		finish(t, d, e.ID, domain.Failed)
	}
	restored, err := d.CreateExecution(t.Context(), db.Execution{Metadata: domain.ExecutionMetadata{Operation: domain.OperationRestore, Trigger: domain.TriggerManual}})
	require.NoError(t, err)
	finish(t, d, restored.ID, domain.Completed)
	list, _, err := d.ListNotifications(t.Context(), db.NotificationFilter{}, db.Page{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, domain.NotifyRestoreSuccess, list[0].Type)
}

func TestAHeartbeatFollowsACompletedBackupOfAJobThatHasOne(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	with, without := newRunning(t, d, "with"), newRunning(t, d, "without")
	job, err := d.GetBackupJob(t.Context(), *with.JobID)
	require.NoError(t, err)
	job.BackupOptions.HeartbeatURL = "https://hc.example/ping/1"
	_, err = d.UpdateBackupJob(t.Context(), job)
	require.NoError(t, err)
	finish(t, d, with.ID, domain.Completed)
	finish(t, d, without.ID, domain.Completed)
	for range 2 {
		_, err = d.DispatchNotifications(t.Context())
		require.NoError(t, err)
	}
	_, beats, err := d.OpenDeliveries(t.Context())
	require.NoError(t, err)
	require.Len(t, beats, 1)
}

func TestTemplatesHaveVersionsOfWhichOneIsActive(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	add := func(body string, active bool) db.Template {
		saved, err := d.AddTemplate(t.Context(), db.Template{Channel: domain.ChannelSMTP, Type: domain.NotifyBackupFailed, Body: body, IsActive: active})
		require.NoError(t, err)
		return saved
	}
	one, two := add("one", true), add("two", true)
	require.EqualValues(t, 2, two.Version)
	active := func() string {
		found, err := d.ActiveTemplate(t.Context(), domain.ChannelSMTP, domain.NotifyBackupFailed)
		require.NoError(t, err)
		if found == nil {
			return ""
		}
		return found.Body
	}
	require.Equal(t, "two", active())
	_, err := d.ActivateTemplate(t.Context(), one.ID)
	require.NoError(t, err)
	require.Equal(t, "one", active())
	add("draft", false)
	require.Equal(t, "one", active())
	_, err = d.DisableTemplate(t.Context(), one.ID)
	require.NoError(t, err)
	require.Empty(t, active())
	for _, err := range together(5, func(int) error {
		_, err := d.AddTemplate(t.Context(), db.Template{Channel: domain.ChannelWebhook, Type: domain.NotifyBackupFailed, Body: "x", IsActive: true})
		return err
	}) {
		require.NoError(t, err)
	}
}
