package integration

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	sdk "go.temporal.io/sdk/worker"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
	"github.com/dataguardian/dataguardian/internal/standalone/temporalserver"
	"github.com/dataguardian/dataguardian/worker"
)

// told is a platform with one channel of each kind, on servers of their own, and no worker yet.
type told struct {
	*platform
	channels                      []client.Channel // in this order
	mail                          *notifytest.MailServer
	hook, slack, evolution, cloud *notifytest.HTTPServer
}

const hookSecret = "signing-key-of-the-hook"

// newApart is a platform without a worker, with a Temporal server of its own: notifications belong to no pool, so the
// workers of other platforms on the shared one would take them.
func newApart(t *testing.T, name string) *platform {
	t.Helper()
	temporal, err := temporalserver.Start(t.Context(), temporalserver.Options{InMemory: true, UIPort: temporalserver.NoUI})
	require.NoError(t, err)
	p := &platform{dir: t.TempDir(), postgres: shared.postgres, temporal: temporal, pool: name}
	p.onClose(func() { temporal.Stop(context.Background()) })
	t.Cleanup(p.close)
	p.catalogue, err = p.postgres.EnsureDatabase(t.Context(), name)
	require.NoError(t, err)
	require.NoError(t, p.startAPI(t.Context()))
	require.NoError(t, p.signUp(t.Context()))
	return p
}

func newTold(t *testing.T) *told {
	t.Helper()
	s := &told{
		platform: newApart(t, "told"), mail: notifytest.Mail(t, domain.MailStartTLS),
		hook: notifytest.HTTP(t, notifytest.Say(http.StatusOK, "")), slack: notifytest.HTTP(t, notifytest.Say(http.StatusOK, notifytest.SlackOK)),
		evolution: notifytest.HTTP(t, notifytest.Say(http.StatusCreated, notifytest.EvolutionOK)), cloud: notifytest.HTTP(t, notifytest.Say(http.StatusOK, notifytest.CloudOK)),
	}
	s.add(t, "mail", domain.ChannelSMTP, s.mail.Config(domain.MailStartTLS))
	s.add(t, "json", domain.ChannelWebhook, domain.ChannelConfig{URL: s.hook.URL, Secret: hookSecret})
	s.add(t, "slack", domain.ChannelWebhook, domain.ChannelConfig{URL: s.slack.URL + "/services/T0/B0/secret", Format: domain.WebhookSlack})
	s.add(t, "evolution", domain.ChannelWhatsApp, domain.ChannelConfig{Provider: domain.WhatsAppEvolution, APIURL: s.evolution.URL, APIKey: "evolution-key-1", Instance: "main", To: []string{"4915112345678"}})
	s.add(t, "cloud", domain.ChannelWhatsApp, domain.ChannelConfig{Provider: domain.WhatsAppCloud, APIURL: s.cloud.URL, AccessToken: "cloud-token-1", PhoneNumberID: "106540352242922", To: []string{"4915112345678"}})
	s.sql(t, `INSERT INTO system_settings (key, value) VALUES ('notifications.gather_seconds', '0'), ('notifications.public_url', '"https://backup.example.com"')`)
	return s
}

func (s *told) add(t *testing.T, name string, kind domain.ChannelType, config domain.ChannelConfig) {
	t.Helper()
	created, err := s.owner.Channels().Create(t.Context(), client.ChannelDocument{Name: name, Type: kind, Config: config})
	require.NoError(t, err)
	s.channels = append(s.channels, created)
}

// sql runs a statement in the catalogue.
func (s *told) sql(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := s.admin(t, "told").Exec(t.Context(), statement, args...)
	require.NoError(t, err)
}

// failingJob is a job whose datasource refuses the password.
func (s *told) failingJob(t *testing.T) client.BackupJob {
	t.Helper()
	address, err := url.Parse(s.postgres.DatabaseURL("told"))
	require.NoError(t, err)
	port, err := strconv.Atoi(address.Port())
	require.NoError(t, err)
	d, err := s.owner.Datasources.Create(t.Context(), client.DatasourceDocument{
		Name: "orders", Type: domain.Postgres, Pool: s.pool, ConnectionConfig: domain.ConnectionConfig{
			Host: address.Hostname(), Port: port, Database: "told", Username: "nobody", Password: "wrong-password-1",
		},
	})
	require.NoError(t, err)
	storage := s.addStorage(t, "disk", filepath.Join(t.TempDir(), "backups"))
	job, err := s.owner.BackupJobs.Create(t.Context(), client.BackupJobDocument{Name: "nightly", DatasourceID: d.ID, StorageLocationID: storage.ID})
	require.NoError(t, err)
	return job
}

// delivered waits until so many deliveries are sent, and returns them all.
func (s *told) delivered(t *testing.T, n int) (all []client.NotificationDelivery) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		all, err = s.owner.Deliveries(t.Context(), nil)
		require.NoError(t, err)
		sent := 0
		for _, one := range all {
			require.NotEqual(t, domain.DeliveryFailed, one.Status, one.Error)
			if one.Status == domain.DeliverySent {
				sent++
			}
		}
		return sent >= n
	}, patience, 50*time.Millisecond)
	return all
}

// A backup that fails is told by every channel exactly once, although the worker is killed when the failure is
// recorded and nobody was told yet, and after each of the first two deliveries.
func TestAFailedBackupIsToldOnceByEveryChannelThoughWorkersDie(t *testing.T) {
	t.Parallel()
	s := newTold(t)
	job := s.failingJob(t)
	recorder := s.spawnWorker(t, s.pool, "finish.recorded")
	execution, err := s.owner.RunJob(t.Context(), job.ID, nil)
	require.NoError(t, err)
	ended, err := s.owner.WaitExecution(t.Context(), execution.ID, nil)
	require.NoError(t, err)
	require.Equal(t, domain.Failed, ended.Status)
	recorder.died(t)

	// The deliveries come one after the other, so that each death is between two.
	_, err = s.db.DispatchNotifications(t.Context())
	require.NoError(t, err)
	s.sql(t, "UPDATE notification_deliveries SET due_at = now() + interval '1 hour'")
	for i, channel := range s.channels[:2] {
		s.sql(t, "UPDATE notification_deliveries SET due_at = now() WHERE channel_id = $1", channel.ID)
		s.spawnWorker(t, s.pool, "notify.delivered").died(t)
		s.delivered(t, i+1)
	}
	s.sql(t, "UPDATE notification_deliveries SET due_at = now()")
	s.spawnWorker(t, s.pool)
	all := s.delivered(t, len(s.channels))
	require.Len(t, all, len(s.channels))
	for _, channel := range s.channels { // also those whose worker died come to an end, and send nothing again
		require.NoError(t, s.dialled.GetWorkflow(t.Context(), contract.NotifyWorkflowID(channel.ID), "").Get(t.Context(), nil))
	}
	s.requireToldOnce(t, execution.ID)
	s.requireNoSecrets(t)
	s.replayed(t, "notify-killed", contract.NotifyWorkflowID(s.channels[0].ID)) // its worker died after the delivery
	s.replayed(t, "notify-sent", contract.NotifyWorkflowID(s.channels[4].ID))
}

// replayed replays the history of a workflow that has ended, and with -record keeps it.
func (s *told) replayed(t *testing.T, name, workflowID string) {
	t.Helper()
	run := &historypb.History{}
	require.NoError(t, s.dialled.GetWorkflow(t.Context(), workflowID, "").Get(t.Context(), nil))
	events := s.dialled.GetWorkflowHistory(t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		run.Events = append(run.Events, event)
	}
	replayer := sdk.NewWorkflowReplayer()
	worker.RegisterWorkflows(replayer)
	require.NoError(t, replayer.ReplayWorkflowHistory(nil, run), name)
	if *record {
		keep(t, name, run, nil)
	}
}

// ended is a workflow of a type that has completed.
func (s *told) ended(t *testing.T, kind string) (workflowID string) {
	t.Helper()
	require.Eventually(t, func() bool {
		list, err := s.dialled.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: "WorkflowType = '" + kind + "' AND ExecutionStatus = 'Completed'",
		})
		require.NoError(t, err)
		if len(list.Executions) > 0 {
			workflowID = list.Executions[0].Execution.WorkflowId
		}
		return workflowID != ""
	}, patience, 50*time.Millisecond)
	return workflowID
}

func (s *told) requireToldOnce(t *testing.T, executionID string) {
	t.Helper()
	notes, err := s.owner.Notifications(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, notes, 1)
	require.Equal(t, domain.NotifyBackupFailed, notes[0].Type)
	require.Equal(t, executionID, notes[0].Metadata["execution_id"])

	messages, recipients, raw := s.mail.Received()
	require.ElementsMatch(t, [][]string{{"ops@example.com"}, {"boss@example.com"}}, recipients, "one mail each")
	for i, message := range messages {
		require.Contains(t, message.Header.Get("References"), executionID)
		require.Contains(t, raw[i], "Backup of orders failed")
	}

	posts := s.hook.Received()
	require.Len(t, posts, 1)
	notifytest.CheckSignature(t, hookSecret, posts[0].Header.Get("X-DataGuardian-Signature"), posts[0].Body)
	var body struct {
		Schema       string
		Notification struct{ ID, Type string }
		Links        struct{ Execution string }
	}
	require.NoError(t, json.Unmarshal(posts[0].Body, &body))
	require.Equal(t, "dataguardian.notification/1", body.Schema)
	require.Equal(t, notes[0].ID, body.Notification.ID)
	require.Equal(t, "https://backup.example.com/api/executions/"+executionID, body.Links.Execution)

	posts = s.slack.Received()
	require.Len(t, posts, 1)
	require.Contains(t, notifytest.CheckBlockKit(t, posts[0].Body), "Backup of orders failed")

	for _, server := range []*notifytest.HTTPServer{s.evolution, s.cloud} {
		posts = server.Received()
		require.Len(t, posts, 1)
		require.Contains(t, string(posts[0].Body), "Backup of orders failed")
	}
}

// requireNoSecrets: neither the history nor a workflow's history nor a message holds a secret.
func (s *told) requireNoSecrets(t *testing.T) {
	t.Helper()
	all, err := s.owner.Deliveries(t.Context(), nil)
	require.NoError(t, err)
	text, err := json.Marshal(all)
	require.NoError(t, err)
	_, _, raw := s.mail.Received()
	shown := string(text) + raw[0] + string(s.hook.Received()[0].Body) + string(s.slack.Received()[0].Body)
	for _, channel := range s.channels {
		history := s.dialled.GetWorkflowHistory(t.Context(), contract.NotifyWorkflowID(channel.ID), "", false, 1)
		for history.HasNext() {
			event, err := history.Next()
			require.NoError(t, err)
			shown += event.String()
		}
	}
	for _, secret := range []string{notifytest.MailPassword, hookSecret, "T0/B0/secret", "evolution-key-1", "cloud-token-1", "wrong-password-1"} {
		require.NotContains(t, shown, secret)
	}
}

// A sample goes through the real channel, and a channel that is dead neither delays nor fails a backup.
func TestASampleTellsWhatTheServerSaidAndADeadChannelHoldsNothingUp(t *testing.T) {
	t.Parallel()
	s := &told{platform: newApart(t, "deaf")}
	stop, err := s.startWorker(worker.Options{Pools: []string{s.pool}})
	require.NoError(t, err)
	t.Cleanup(stop)
	dead := notifytest.HTTP(t, notifytest.Say(http.StatusForbidden, "action_prohibited"))
	silent := notifytest.HTTP(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s.add(t, "dead", domain.ChannelWebhook, domain.ChannelConfig{URL: dead.URL, Format: domain.WebhookSlack})
	s.add(t, "silent", domain.ChannelWebhook, domain.ChannelConfig{URL: silent.URL})
	silentMail, slowMail := notifytest.BadMail(t, "CONNECT", notifytest.Silent), notifytest.BadMail(t, "EHLO", notifytest.Trickling)
	for name, port := range map[string]int{"silent mail": silentMail.Port, "slow mail": slowMail.Port} {
		s.add(t, name, domain.ChannelSMTP, domain.ChannelConfig{Host: "127.0.0.1", Port: port, Encryption: domain.MailPlain, From: "backups@example.com", To: []string{"ops@example.com"}})
	}
	s.add(t, "silent WhatsApp", domain.ChannelWhatsApp, domain.ChannelConfig{Provider: domain.WhatsAppEvolution, APIURL: silent.URL, APIKey: "evolution-key-1", Instance: "main", To: []string{"4915112345678"}})
	sample, err := s.owner.TestChannel(t.Context(), s.channels[0].ID)
	require.NoError(t, err)
	require.False(t, sample.OK)
	require.Contains(t, sample.Message, "403 Forbidden action_prohibited")
	dead.Answer(notifytest.Say(http.StatusOK, notifytest.SlackOK))
	sample, err = s.owner.TestChannel(t.Context(), s.channels[0].ID)
	require.NoError(t, err)
	require.True(t, sample.OK, sample.Message)
	require.Equal(t, "200 OK ok", sample.Answer)
	s.replayed(t, "test-channel", s.ended(t, contract.TestChannel.Name))

	beat := notifytest.HTTP(t, notifytest.Say(http.StatusOK, "OK"))
	content := &setup{database: unique(t), rows: 100}
	content.createDatabase(t, content.database)
	content.fill(t)
	source, storage := s.addDatasource(t, "orders", content.database), s.addStorage(t, "disk", filepath.Join(t.TempDir(), "backups"))
	job, err := s.owner.BackupJobs.Create(t.Context(), client.BackupJobDocument{
		Name: "nightly", DatasourceID: source.ID, StorageLocationID: storage.ID, BackupOptions: domain.BackupOptions{HeartbeatURL: beat.URL + "/ping/1"},
	})
	require.NoError(t, err)
	for range 2 { // while a channel is deaf
		s.backUp(t, job.ID)
	}
	for _, channel := range s.channels[1:] { // the backups have ended before any message to these
		waiting, err := s.owner.Deliveries(t.Context(), url.Values{"channel_id": {channel.ID}})
		require.NoError(t, err)
		for _, one := range waiting {
			require.Nil(t, one.FinishedAt, channel.Name)
		}
	}
	require.Eventually(t, func() bool { return len(beat.Received()) == 2 }, patience, 50*time.Millisecond)
	require.Equal(t, http.MethodGet, beat.Received()[0].Method)

	// What can not succeed ends, and so do the other workflows of notifications.
	dead.Answer(notifytest.Say(http.StatusForbidden, "action_prohibited"))
	s.backUp(t, job.ID)
	var beats []string
	require.Eventually(t, func() bool {
		failed, err := s.owner.Deliveries(t.Context(), url.Values{"status": {"failed"}})
		require.NoError(t, err)
		sent, err := s.owner.Deliveries(t.Context(), url.Values{"status": {"sent"}})
		require.NoError(t, err)
		beats = nil
		for _, one := range sent {
			if one.ChannelType == domain.ChannelHeartbeat {
				beats = append(beats, one.ID)
			}
		}
		return len(failed) > 0 && len(beats) == 3
	}, patience, 50*time.Millisecond)
	s.replayed(t, "notify-failed", contract.NotifyWorkflowID(s.channels[0].ID))
	s.replayed(t, "heartbeat-sent", contract.HeartbeatWorkflowID(beats[0]))
	s.requireCancelledWaits(t)
}

// requireCancelledWaits: a queue that is cancelled while a server thinks ends when the message has its end, so that no other
// run sends it at the same time.
func (s *told) requireCancelledWaits(t *testing.T) {
	t.Helper()
	_, err := s.admin(t, "deaf").Exec(t.Context(), "INSERT INTO system_settings (key, value) VALUES ('notifications.gather_seconds', '0')")
	require.NoError(t, err)
	thinks, asked := make(chan struct{}), make(chan struct{}, 10)
	server := notifytest.HTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-thinks
		w.WriteHeader(http.StatusOK)
	})
	s.add(t, "thinking", domain.ChannelWebhook, domain.ChannelConfig{URL: server.URL})
	channel := s.channels[len(s.channels)-1]
	require.NoError(t, s.db.AddNotification(t.Context(), db.Notification{
		Type: domain.NotifyCleanupCompleted, Severity: domain.SeverityInfo, EntityType: domain.EntitySystem, Title: "Clean-up",
	}))
	<-asked
	id := contract.NotifyWorkflowID(channel.ID)
	require.NoError(t, s.dialled.CancelWorkflow(t.Context(), id, ""))
	events := func(kind enumspb.EventType) (n int) {
		history := s.dialled.GetWorkflowHistory(t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for history.HasNext() {
			event, err := history.Next()
			require.NoError(t, err)
			if event.EventType == kind {
				n++
			}
		}
		return n
	}
	require.Eventually(t, func() bool { return events(enumspb.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED) == 1 }, patience, 20*time.Millisecond)
	require.Zero(t, events(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED))
	close(thinks)
	require.Error(t, s.dialled.GetWorkflow(t.Context(), id, "").Get(t.Context(), nil), "it was cancelled")
	sent, err := s.owner.Deliveries(t.Context(), url.Values{"channel_id": {channel.ID}})
	require.NoError(t, err)
	require.Equal(t, domain.DeliverySent, sent[0].Status)
	require.Len(t, server.Received(), 1)
}
