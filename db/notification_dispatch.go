package db

import (
	"context"
	"errors"
	"fmt"
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
// is told, once, whoever calls this at the same time or dies in it. It returns how many notifications it took; its error also
// names those whose failure could be recorded nowhere, though all of them were taken.
func (d *DB) DispatchNotifications(ctx context.Context) (int, error) {
	total := 0
	var lost error
	for {
		n, unrecorded := 0, error(nil)
		err := d.InTx(ctx, func(q *Queries) (err error) {
			n, unrecorded, err = q.dispatchBatch(ctx)
			return err
		})
		if err != nil {
			return total, errors.Join(lost, err)
		}
		total, lost = total+n, errors.Join(lost, unrecorded)
		if n < dispatchBatch {
			return total, lost
		}
	}
}

// deliverySettings are the settings, or the defaults where they can not be read: a wrong setting must silence nobody.
func (q *Queries) deliverySettings(ctx context.Context) domain.NotificationSettings {
	settings, err := q.NotificationSettings(ctx)
	if err != nil {
		return domain.DefaultNotificationSettings()
	}
	return settings
}

// dispatchBatch takes some notifications. lost: what of their failures could not be recorded.
func (q *Queries) dispatchBatch(ctx context.Context) (n int, lost, err error) {
	const op = "dispatch notifications"
	rows, err := q.q.UndispatchedNotifications(ctx, dispatchBatch)
	if err != nil || len(rows) == 0 {
		return 0, nil, translate(op, err)
	}
	settings := q.deliverySettings(ctx)
	channels, err := q.q.EnabledChannels(ctx)
	if err != nil {
		return 0, nil, translate(op, err)
	}
	for _, row := range rows {
		d := dispatch{n: notification(row), settings: settings, now: time.Now()}
		if err := d.alone(ctx, q, channels); err != nil {
			return 0, nil, err
		}
		if err := q.q.MarkDispatched(ctx, row.ID); err != nil {
			return 0, nil, translate(op, err)
		}
		lost = errors.Join(lost, d.lost)
	}
	return len(rows), lost, nil
}

// dispatch makes the deliveries of one notification.
type dispatch struct {
	q        *Queries
	n        Notification
	settings domain.NotificationSettings
	now      time.Time
	known    string        // why it is no news; "" when it is
	wrong    string        // why its deliveries could not be made
	lost     error         // why not even that could be recorded
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
		if !channel.Rules.Match(about) || channel.ID == d.n.text("channel_id") { // it is about the channel itself
			continue
		}
		if err := d.add(ctx, channel); err != nil {
			return err
		}
	}
	return nil
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
	if condition := d.n.text(domain.MetadataCondition); condition != "" {
		return d.lookBackAtCondition(ctx, condition)
	}
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
	changes := make([]dbgen.ChangesOfRow, len(earlier))
	for i, state := range earlier {
		changes[i] = dbgen.ChangesOfRow(state)
	}
	d.judge(changes, 0)
	return nil
}

// lookBackAtCondition is for what tells the changes of a condition only: each of them is news. Two in a row that tell
// the same had an end in between that nobody was told of.
func (d *dispatch) lookBackAtCondition(ctx context.Context, condition string) error {
	earlier, err := d.q.q.ChangesOf(ctx, dbgen.ChangesOfParams{
		Condition: condition, Before: d.n.CreatedAt, BeforeID: d.n.ID, Most: statesLooked,
	})
	d.judge(earlier, 2)
	return translate("read what was told of a condition before", err)
}

// judge counts the changes of the last while, the newest first. same is how many changes lie between two notifications
// that tell the same.
func (d *dispatch) judge(earlier []dbgen.ChangesOfRow, same int) {
	changes, since := 0, d.n.CreatedAt.Add(-time.Duration(d.settings.FlapWindowMinutes)*time.Minute)
	newer, latest := string(d.n.Type), 0
	for i, state := range earlier {
		if state.CreatedAt.Before(since) {
			break
		}
		step := 1
		if state.Type == newer {
			step = same
		}
		if i == 0 {
			latest = step
		}
		changes, newer = changes+step, state.Type
	}
	if changes > d.settings.FlapAbove {
		d.flapping = true
		if changes-latest > d.settings.FlapAbove { // the first that is too many says so at once
			d.hold = time.Duration(d.settings.FlapQuietMinutes) * time.Minute
		}
	}
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
			ChannelID: &channel.ID, EntityType: string(d.n.EntityType), EntityID: unlessZero(d.n.EntityID),
			Condition: unlessZero(d.n.text(domain.MetadataCondition)), Reason: "the source changed its state again",
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
	if d.n.Type != domain.NotifyBackupSuccess || d.n.EntityType != domain.EntityBackupJob || d.n.text("execution_id") == "" || !isID(job) {
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
