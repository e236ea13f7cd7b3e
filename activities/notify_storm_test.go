package activities_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
	"github.com/dataguardian/dataguardian/workflows"
)

// storm is the real catalogue, workflows, activities and servers, in the time of a test environment, which passes at once:
// what the catalogue holds grows older with it.
type storm struct {
	t        *testing.T
	url      string
	conn     *pgx.Conn
	d        *db.DB
	acts     *activities.Activities
	env      *testsuite.TestWorkflowEnvironment
	channels map[string]db.Channel

	mu        sync.Mutex
	began     time.Time     // of the clock
	beganHere time.Time     // of the environment's
	aged      time.Duration // by how much the catalogue's times were moved
	struck    int
}

func newStorm(t *testing.T) *storm {
	t.Helper()
	url := dbtest.URL(t)
	var suite testsuite.WorkflowTestSuite
	s := &storm{t: t, url: url, d: dbtest.Open(t, url), env: suite.NewTestWorkflowEnvironment(), channels: map[string]db.Channel{}}
	var err error
	s.conn, err = pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.conn.Close(context.Background()) })
	s.env.SetTestTimeout(5 * time.Minute)
	s.acts = activities.New(activities.Options{DB: s.d, Logger: slog.New(slog.DiscardHandler)})
	s.env.RegisterWorkflowWithOptions(workflows.Notify, workflow.RegisterOptions{Name: contract.Notify.Name})
	contract.ChooseDelivery.Register(s.env, func(ctx context.Context, in contract.ChannelRef) (next contract.NextDelivery, err error) {
		s.now(func() { next, err = s.acts.ChooseDelivery(ctx, in) })
		return next, err
	})
	contract.Deliver.Register(s.env, func(ctx context.Context, in contract.DeliveryRef) (done contract.Delivered, err error) {
		s.now(func() { done, err = s.acts.Deliver(ctx, in) })
		return done, err
	})
	contract.GiveUpDelivery.Register(s.env, s.acts.GiveUpDelivery)
	return s
}

func (s *storm) add(name string, kind domain.ChannelType, config domain.ChannelConfig) {
	s.t.Helper()
	config.Normalize(kind)
	channel, err := s.d.CreateChannel(s.t.Context(), db.Channel{Name: name, Type: kind, Enabled: true, Config: config})
	require.NoError(s.t, err)
	s.channels[name] = channel
}

// now does something with a catalogue that is as old as it would be, one after the other.
func (s *storm) now(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if older := s.env.Now().Sub(s.beganHere) - time.Since(s.began) - s.aged; older.Abs() > 100*time.Millisecond {
		s.aged += older
		_, err := s.conn.Exec(s.t.Context(), fmt.Sprintf(`UPDATE notifications SET created_at = created_at - b.y FROM (SELECT interval '%[1]d microseconds' y) b;
			UPDATE notification_deliveries SET created_at = created_at - b.y, due_at = due_at - b.y, started_at = started_at - b.y, finished_at = finished_at - b.y
			FROM (SELECT interval '%[1]d microseconds' y) b`, older.Microseconds()))
		require.NoError(s.t, err)
	}
	do()
}

// strike is so many failures, of which the dispatcher is told.
func (s *storm) strike(failures int) {
	s.now(func() {
		require.NoError(s.t, s.d.InTx(s.t.Context(), func(q *db.Queries) error {
			for range failures {
				s.struck++
				if err := q.AddNotification(s.t.Context(), db.Notification{
					Type: domain.NotifyBackupFailed, Severity: domain.SeverityCritical, EntityType: domain.EntitySystem, Title: fmt.Sprintf("Backup %d failed", s.struck),
				}); err != nil {
					return err
				}
			}
			return nil
		}))
		_, err := s.d.DispatchNotifications(s.t.Context())
		require.NoError(s.t, err)
	})
}

// breaks runs what sends to each channel until nothing waits, and gives what it sent.
func (s *storm) breaks() map[string]contract.NotifyResult {
	s.t.Helper()
	results := map[string]contract.NotifyResult{}
	s.env.ExecuteWorkflow(func(ctx workflow.Context) error {
		runs := map[string]workflow.ChildWorkflowFuture{}
		for name, channel := range s.channels {
			child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: contract.NotifyWorkflowID(channel.ID)})
			runs[name] = workflow.ExecuteChildWorkflow(child, contract.Notify.Name, contract.ChannelRef{ChannelID: channel.ID, Name: name})
		}
		for name, run := range runs {
			var result contract.NotifyResult
			if err := run.Get(ctx, &result); err != nil {
				return err
			}
			results[name] = result
		}
		return nil
	})
	require.True(s.t, s.env.IsWorkflowCompleted())
	require.NoError(s.t, s.env.GetWorkflowError())
	return results
}

// Two hundred failures within a minute, with the settings as they are without any, are one message for each channel of each
// kind, which says how many they are. A channel that is deleted meanwhile gets none.
func TestAStormOfAMinuteIsOneMessageForEachChannelWithTheCount(t *testing.T) {
	const waves, failures, apart = 20, 10, 3 * time.Second
	s := newStorm(t)
	all := receivers(t)
	for name, r := range all {
		s.add(name, r.kind, r.config)
	}
	unwanted := notifytest.HTTP(t, notifytest.Say(http.StatusOK, ""))
	s.add("goes", domain.ChannelWebhook, hook(unwanted.URL))

	s.began, s.beganHere = time.Now(), s.env.Now()
	s.strike(failures)
	for wave := 1; wave < waves; wave++ {
		s.env.RegisterDelayedCallback(func() {
			s.strike(failures)
			for name := range all {
				require.NoError(t, s.env.SignalWorkflowByID(contract.NotifyWorkflowID(s.channels[name].ID), contract.WakeSignal, nil))
			}
		}, time.Duration(wave)*apart)
	}
	s.env.RegisterDelayedCallback(func() {
		s.now(func() { require.NoError(t, s.d.DeleteChannel(t.Context(), s.channels["goes"].ID)) })
	}, waves/2*apart+time.Second)
	results := s.breaks()
	took := s.env.Now().Sub(s.beganHere)
	require.Greater(t, took, (waves-1)*apart)
	require.Less(t, took, 90*time.Second)
	for name, r := range all {
		require.Equal(t, contract.NotifyResult{Sent: 1}, results[name], name)
		require.Len(t, r.got(), 1, name)
		require.Contains(t, r.got()[0], "200 notifications", name)
		require.Equal(t, 200, dbtest.Count(t, s.url, "SELECT count(*) FROM notification_deliveries WHERE channel_id = $1 AND status = 'sent'", s.channels[name].ID), name)
	}
	require.Zero(t, results["goes"])
	require.Empty(t, unwanted.Received())
	require.Equal(t, 110, dbtest.Count(t, s.url, "SELECT count(*) FROM notification_deliveries WHERE channel_name = 'goes' AND status = 'dropped'"))
}

// Servers that accept a connection and say nothing, or a byte now and then, hold up nothing but their own queues: a backup
// begins and ends while messages to all of them are on their way.
func TestDeadMailAndWhatsAppServersHoldNoBackupUp(t *testing.T) {
	s := newSite(t)
	dbtest.Execute(t, s.url, "INSERT INTO system_settings (key, value) VALUES ($1, '0')", domain.SettingNotifyGather)
	background, stop := context.WithCancel(t.Context())
	defer stop()
	asked := make(chan struct{}, 100)
	mailServer := func(bad func(net.Conn)) domain.ChannelConfig {
		at := notifytest.BadMail(t, "CONNECT", func(conn net.Conn) { asked <- struct{}{}; bad(conn) })
		return domain.ChannelConfig{Host: "127.0.0.1", Port: at.Port, Encryption: domain.MailPlain, From: "backups@example.com", To: []string{"ops@example.com"}}
	}
	whatsApp := func(bad http.HandlerFunc) domain.ChannelConfig {
		server := notifytest.HTTP(t, func(w http.ResponseWriter, r *http.Request) { asked <- struct{}{}; bad(w, r) })
		return domain.ChannelConfig{Provider: domain.WhatsAppEvolution, APIURL: server.URL, APIKey: "evolution-key-1", Instance: "main", To: numbers[:1]}
	}
	var dead []*courier
	for name, config := range map[string]domain.ChannelConfig{
		"silent mail": mailServer(notifytest.Silent), "slow mail": mailServer(notifytest.Trickling),
		"silent WhatsApp": whatsApp(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), "slow WhatsApp": whatsApp(notifytest.TrickleHeaders),
	} {
		kind := domain.ChannelWhatsApp
		if config.Host != "" {
			kind = domain.ChannelSMTP
		}
		config.Normalize(kind)
		channel, err := s.d.CreateChannel(t.Context(), db.Channel{Name: name, Type: kind, Enabled: true, Config: config})
		require.NoError(t, err)
		dead = append(dead, &courier{t: t, d: s.d, url: s.url, channel: channel, patience: time.Minute})
	}

	require.NoError(t, s.d.AddNotification(t.Context(), db.Notification{
		Type: domain.NotifyBackupFailed, Severity: domain.SeverityCritical, EntityType: domain.EntitySystem, Title: "before",
	}))
	_, err := s.d.DispatchNotifications(t.Context())
	require.NoError(t, err)
	var sending sync.WaitGroup
	var ids []string
	for _, c := range dead {
		next, err := s.d.NextDelivery(t.Context(), c.channel.ID)
		require.NoError(t, err)
		require.NotEmpty(t, next.ID)
		c.background, ids = background, append(ids, next.ID)
		sending.Go(func() { _ = c.deliver(next.ID) })
	}
	for range dead {
		<-asked
	}

	e := s.run(s.queue(s.job, domain.BackupOptions{}))
	require.Equal(t, domain.Completed, e.Status, e.ErrorMessage)
	_, err = s.d.DispatchNotifications(t.Context())
	require.NoError(t, err)
	for i, c := range dead { // the end of the backup comes before that of any delivery
		require.Equal(t, domain.DeliverySending, c.row(ids[i]).Status)
		require.Nil(t, c.row(ids[i]).FinishedAt)
		require.NotNil(t, e.FinishedAt)
	}
	require.Equal(t, len(dead), dbtest.Count(t, s.url, "SELECT count(*) FROM notification_deliveries WHERE status = 'pending'"), "that it has completed")
	stop()
	stopped := time.Now()
	sending.Wait()
	require.Less(t, time.Since(stopped), 30*time.Second, "who is cancelled does not wait for a server's time-out")
}
