package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

const (
	dispatchBatch = 100            // notifications of one transaction
	statesLooked  = 100            // earlier states of a source that are looked at
	sameStateFor  = 24 * time.Hour // a state that lasts is told again after so long
)

// DispatchNotifications makes the deliveries of every notification that has none yet: one for each channel that
// is told, once, whoever calls this at the same time or dies in it. It returns how many notifications it took.
func (d *DB) DispatchNotifications(ctx context.Context) (int, error) {
	total := 0
	for {
		n := 0
		err := d.InTx(ctx, func(q *Queries) (err error) {
			n, err = q.dispatchBatch(ctx)
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
		if n < dispatchBatch {
			return total, nil
		}
	}
}

func (q *Queries) dispatchBatch(ctx context.Context) (int, error) {
	const op = "dispatch notifications"
	rows, err := q.q.UndispatchedNotifications(ctx, dispatchBatch)
	if err != nil || len(rows) == 0 {
		return 0, translate(op, err)
	}
	settings, err := q.NotificationSettings(ctx)
	if err != nil {
		settings = domain.DefaultNotificationSettings() // a wrong setting must silence nobody
	}
	channels, err := q.q.EnabledChannels(ctx)
	if err != nil {
		return 0, translate(op, err)
	}
	for _, row := range rows {
		n, err := notification(row)
		if err != nil {
			return 0, err
		}
		d := dispatch{q: q, n: n, settings: settings, now: time.Now()}
		if err := d.run(ctx, channels); err != nil {
			return 0, err
		}
		if err := q.q.MarkDispatched(ctx, n.ID); err != nil {
			return 0, translate(op, err)
		}
	}
	return len(rows), nil
}

// dispatch makes the deliveries of one notification.
type dispatch struct {
	q        *Queries
	n        Notification
	settings domain.NotificationSettings
	now      time.Time
	known    string        // why it is no news; "" when it is
	flapping bool          // its source changes its state often
	hold     time.Duration // until the source has kept its state so long
}

func (d *dispatch) run(ctx context.Context, channels []dbgen.NotificationChannel) error {
	if err := d.lookBack(ctx); err != nil {
		return err
	}
	about, err := d.subject(ctx)
	if err != nil {
		return err
	}
	for _, channel := range channels {
		if !channel.Rules.Match(about) {
			continue
		}
		if err := d.add(ctx, channel); err != nil {
			return err
		}
	}
	return d.addHeartbeat(ctx)
}

// subject is what the rules of channels ask about.
func (d *dispatch) subject(ctx context.Context) (domain.Subject, error) {
	about := domain.Subject{Type: d.n.Type, Severity: d.n.Severity, JobID: d.n.text("job_id")}
	datasource, storage := d.n.text("datasource_id"), d.n.text("storage_location_id")
	switch d.n.EntityType {
	case domain.EntityBackupJob, domain.EntitySyncJob, domain.EntityDrillJob:
		about.JobID = d.n.EntityID
	case domain.EntityDatasource:
		datasource = d.n.EntityID
	case domain.EntityStorageLocation:
		storage = d.n.EntityID
	}
	var params dbgen.TagsOfParams // a job has the tags of what it works on
	if isID(about.JobID) {
		params.JobID = &about.JobID
	}
	if isID(datasource) {
		params.DatasourceID = &datasource
	}
	if isID(storage) {
		params.StorageLocationID = &storage
	}
	var err error
	about.Tags, err = d.q.q.TagsOf(ctx, params)
	return about, translate("read the tags of what a notification is about", err)
}

// lookBack finds out whether a state is news, and whether its source flaps.
func (d *dispatch) lookBack(ctx context.Context) error {
	if !d.n.Type.IsState() || d.n.EntityID == "" {
		return nil
	}
	earlier, err := d.q.q.StatesOf(ctx, dbgen.StatesOfParams{
		EntityType: string(d.n.EntityType), EntityID: &d.n.EntityID, Before: d.n.CreatedAt, BeforeID: d.n.ID, Most: statesLooked,
	})
	if err != nil || len(earlier) == 0 {
		return translate("read what was told of a source before", err)
	}
	last := earlier[0]
	if last.Type == string(d.n.Type) && d.n.CreatedAt.Sub(last.CreatedAt) < sameStateFor {
		d.known = "the same state was told at " + last.CreatedAt.UTC().Format(time.RFC3339)
		return nil
	}
	changes, since := 0, d.n.CreatedAt.Add(-time.Duration(d.settings.FlapWindowMinutes)*time.Minute)
	newer := string(d.n.Type)
	for _, state := range earlier {
		if state.CreatedAt.Before(since) {
			break
		}
		if state.Type != newer {
			changes++
		}
		newer = state.Type
	}
	if changes > d.settings.FlapAbove {
		d.flapping = true
		if changes > d.settings.FlapAbove+1 { // the first that is too many says so at once
			d.hold = time.Duration(d.settings.FlapQuietMinutes) * time.Minute
		}
	}
	return nil
}

func (d *dispatch) add(ctx context.Context, channel dbgen.NotificationChannel) error {
	delivery := dbgen.AddDeliveryParams{
		NotificationID: d.n.ID, ChannelID: &channel.ID, ChannelName: channel.Name, ChannelType: channel.Type,
		Status: domain.DeliveryPending, Flapping: d.flapping, DueAt: channel.Rules.DueAt(d.n.Severity, d.now.Add(d.hold)),
	}
	if d.known != "" {
		delivery.Status, delivery.ErrorMessage = domain.DeliveryCollapsed, d.known
	}
	if d.hold > 0 {
		err := d.q.q.CollapseWaiting(ctx, dbgen.CollapseWaitingParams{
			ChannelID: &channel.ID, EntityType: string(d.n.EntityType), EntityID: &d.n.EntityID, Reason: "the source changed its state again",
		})
		if err != nil {
			return translate("collapse what a flapping source told", err)
		}
	}
	return d.insert(ctx, delivery)
}

// addHeartbeat makes the GET that a completed backup of a job with a heartbeat_url is followed by.
func (d *dispatch) addHeartbeat(ctx context.Context) error {
	job := d.n.text("job_id")
	if d.n.Type != domain.NotifyBackupSuccess || d.n.text("execution_id") == "" || !isID(job) {
		return nil
	}
	row, err := d.q.GetBackupJob(ctx, job)
	if errors.Is(err, ErrNotFound) || (err == nil && row.BackupOptions.HeartbeatURL == "") {
		return nil
	}
	if err != nil {
		return err
	}
	return d.insert(ctx, dbgen.AddDeliveryParams{
		NotificationID: d.n.ID, ChannelName: fmt.Sprintf("heartbeat of %s", row.Name), ChannelType: domain.ChannelHeartbeat,
		Status: domain.DeliveryPending, DueAt: d.now,
	})
}

func (d *dispatch) insert(ctx context.Context, delivery dbgen.AddDeliveryParams) error {
	id, err := newID()
	if err != nil {
		return err
	}
	delivery.ID = id
	return translate("add a delivery", d.q.q.AddDelivery(ctx, delivery))
}

// OpenDeliveries are the channels that something waits for, and the heartbeats that wait. What waits for a
// channel that is gone is dropped first.
func (q *Queries) OpenDeliveries(ctx context.Context) (channels, heartbeats []string, err error) {
	const op = "look for deliveries that wait"
	if err := q.q.DropOrphans(ctx); err != nil {
		return nil, nil, translate(op, err)
	}
	if channels, err = q.q.ChannelsWithOpenDeliveries(ctx); err != nil {
		return nil, nil, translate(op, err)
	}
	heartbeats, err = q.q.OpenHeartbeats(ctx)
	return channels, heartbeats, translate(op, err)
}

// NextDelivery is what a channel is sent next.
type NextDelivery struct {
	ID       string        // to be sent now; "" for nothing
	Wait     time.Duration // with no ID: when to ask again; 0: nothing waits
	RetryFor time.Duration // how long the delivery is tried
}

// maxDigest bounds how many deliveries one message stands for.
const maxDigest = 10_000

// NextDelivery takes the next delivery to a channel, and with it the others that are told in the same message.
// One that was taken and has not ended comes first. Calls for one channel wait for each other.
func (q *Queries) NextDelivery(ctx context.Context, channelID string) (next NextDelivery, err error) {
	const op = "choose the next delivery"
	settings, err := q.NotificationSettings(ctx)
	if err != nil {
		settings = domain.DefaultNotificationSettings()
	}
	err = q.inTx(ctx, func(q *Queries) error {
		if _, err := q.q.LockChannel(ctx, channelID); err != nil {
			if isMissing(translate(op, err)) {
				return translate(op, q.q.DropOrphans(ctx))
			}
			return translate(op, err)
		}
		sending, err := q.q.SendingOf(ctx, &channelID)
		if err != nil {
			return translate(op, err)
		}
		if len(sending) > 0 {
			next.ID = sending[0]
			return nil
		}
		next, err = q.take(ctx, channelID, settings)
		return err
	})
	next.RetryFor = time.Duration(settings.RetryHours) * time.Hour
	return next, err
}

// take chooses among what waits, or says how long to wait.
func (q *Queries) take(ctx context.Context, channelID string, settings domain.NotificationSettings) (NextDelivery, error) {
	const op = "choose the next delivery"
	waiting, err := q.q.WaitingFor(ctx, dbgen.WaitingForParams{ChannelID: &channelID, Most: maxDigest})
	if err != nil || len(waiting) == 0 {
		return NextDelivery{}, translate(op, err)
	}
	now := time.Now()
	messages, err := q.q.MessagesSince(ctx, dbgen.MessagesSinceParams{ChannelID: &channelID, Since: now.Add(-time.Minute)})
	if err != nil {
		return NextDelivery{}, translate(op, err)
	}
	due := slices.DeleteFunc(slices.Clone(waiting), func(r dbgen.WaitingForRow) bool { return r.DueAt.After(now) })
	if wait := waitFor(now, waiting, due, messages, settings); wait > 0 {
		return NextDelivery{Wait: wait}, nil
	}
	leader := due[0].ID
	if err := q.q.TakeDelivery(ctx, leader); err != nil {
		return NextDelivery{}, translate(op, err)
	}
	if len(due) > settings.DigestAbove {
		others := make([]string, 0, len(due)-1)
		for _, row := range due[1:] {
			others = append(others, row.ID)
		}
		if err := q.q.SendWith(ctx, dbgen.SendWithParams{Leader: leader, Ids: others}); err != nil {
			return NextDelivery{}, translate(op, err)
		}
	}
	return NextDelivery{ID: leader}, nil
}

// waitFor is how long nothing is sent yet, 0 when the first of due is sent now. There is something waiting.
func waitFor(now time.Time, waiting, due []dbgen.WaitingForRow, messages []time.Time, s domain.NotificationSettings) time.Duration {
	if len(due) == 0 {
		first := slices.MinFunc(waiting, func(a, b dbgen.WaitingForRow) int { return a.DueAt.Compare(b.DueAt) })
		return first.DueAt.Sub(now)
	}
	gather := time.Duration(s.GatherSeconds) * time.Second
	until := due[len(due)-1].CreatedAt.Add(gather) // while more keep coming
	if limit := due[0].CreatedAt.Add(time.Duration(max(s.GatherLimitSeconds, s.GatherSeconds)) * time.Second); limit.Before(until) {
		until = limit
	}
	if len(messages) >= s.PerMinute {
		if free := messages[len(messages)-s.PerMinute].Add(time.Minute); free.After(until) {
			until = free
		}
	}
	return max(until.Sub(now), 0)
}
