package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

// The names of the events of the stream of notifications.
const (
	eventNotification = "notification" // a new one; the data is the notification
	eventUnread       = "unread"       // first, and with every new one; the data is the count
)

// everyNotification is what watchers of the notifications' hub watch: it tells of all of them alike.
const everyNotification = "*"

const (
	// streamedAtOnce is how many notifications one look at the catalogue finds at most; whoever missed more reads the list.
	streamedAtOnce = 1000
	// lateCommit is how long after its time a notification may become visible, as its transaction took so long.
	lateCommit = 5 * time.Minute
	// noNotification is the id of an event before which there was no notification.
	noNotification = "0-"
)

type followNotificationsInput struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"64" doc:"Id of the last event that was seen"`
}

func (s *server) registerNotificationEvents(tags []string, path string) {
	operation := huma.Operation{
		OperationID: "follow-notifications", Method: http.MethodGet, Path: path + "/events", Tags: tags,
		Summary: "Follow notifications (server-sent events)",
		Description: "Event `unread` with `{\"unread\": n}` at once and with every change of it, `notification` with each that is written from now on, never with older ones. " +
			"A client that comes back with `Last-Event-ID` first gets those that were written meanwhile; of the five minutes before it gets some again, which it knows by the `id` in the data. " +
			gapTold + "A comment every 10 seconds keeps the connection open.",
	}
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Notification](), true, "Notification")
	operation.Responses = map[string]*huma.Response{"200": {
		Description: "A stream of events",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: schema}},
	}}
	register(s, requires(auth.NotificationsRead), operation, s.followNotifications)
}

func (s *server) followNotifications(_ context.Context, in *followNotificationsInput) (*huma.StreamResponse, error) {
	moment, seen, ours := strings.Cut(in.LastEventID, "-")
	left, err := resumeFrom(moment)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		follower := notificationFollower{s: s, stream: newEventStream(out), seen: map[string]time.Time{}, unread: -1}
		follower.stream.place = noNotification
		if ours && moment != "" { // the ids of older versions, 1, 2, 3, …, tell no time: such a client begins anew
			follower.resume(left, seen)
		}
		if err := follower.run(out.Context()); err != nil && out.Context().Err() == nil {
			s.log.WarnContext(out.Context(), "event stream of notifications ended early", "error", err)
		}
	}}, nil
}

// notificationFollower sends one client what is new: what it has not been sent, and is not older than what there was when it
// came. Transactions become visible in another order than their rows were made in, so that both have to be known. The id
// of an event is the time of the newest notification by then, as the catalogue knows it, and the last one that was sent.
type notificationFollower struct {
	s       *server
	stream  *eventStream
	resumed bool
	seen    map[string]time.Time // when those were written that were sent, or were there before
	newest  time.Time            // of what was seen
	floor   time.Time            // nothing older is new
	unread  int64
}

// resume is for a client that left with the event of a notification at a time. Those that were to become visible late are sent,
// and so are the others of that while, again.
func (f *notificationFollower) resume(left time.Time, seen string) {
	f.resumed, f.newest, f.floor = true, left, left.Add(-lateCommit)
	f.see(db.Notification{ID: seen, CreatedAt: left})
}

func (f *notificationFollower) run(ctx context.Context) error {
	changes, release, err := f.s.notifications.watch(everyNotification) // before the first read, so that none falls between
	if err != nil {
		return fmt.Errorf("listen for notifications: %w", err)
	}
	defer release()
	if err := f.begin(ctx); err != nil {
		return err
	}
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	base := ctx // each look adds to it anew: a stream may be open for days
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changes:
		case <-heartbeat.C:
			if err := f.stream.comment("heartbeat"); err != nil {
				return err
			}
		}
		if ctx, err = f.s.stillSignedIn(base, auth.NotificationsRead); err != nil { // nothing is sent by a right that has ended
			return err
		}
		if err := f.sendFresh(ctx); err != nil {
			return err
		}
	}
}

// begin takes what is there for known, but for what a client that comes back has not seen.
func (f *notificationFollower) begin(ctx context.Context) error {
	if f.resumed {
		return f.sendFresh(ctx)
	}
	newest, _, err := f.s.db.ListNotifications(ctx, db.NotificationFilter{}, db.Page{Limit: 1})
	if err != nil {
		return err
	}
	for _, row := range newest {
		f.see(row)
	}
	rows, _, err := f.look(ctx)
	if err != nil {
		return err
	}
	for i := len(rows) - 1; i >= 0; i-- {
		f.see(rows[i])
	}
	return f.sendUnread(ctx)
}

// see notes one that is not new any more.
func (f *notificationFollower) see(row db.Notification) {
	f.seen[row.ID] = row.CreatedAt
	if row.CreatedAt.After(f.newest) {
		f.newest = row.CreatedAt
	}
	f.stream.place = fmt.Sprintf("%d-%s", f.newest.UnixMicro(), row.ID)
}

func (f *notificationFollower) sendFresh(ctx context.Context) error {
	since := f.newest
	rows, missed, err := f.look(ctx)
	if err != nil {
		return err
	}
	for i := len(rows) - 1; i >= 0; i-- { // the oldest first
		if _, seen := f.seen[rows[i].ID]; seen {
			continue
		}
		f.see(rows[i])
		if missed {
			continue
		}
		if err := f.stream.sendAny(eventNotification, viewNotification(rows[i])); err != nil {
			return err
		}
	}
	if missed {
		if err := f.stream.sendAny(eventGap, StreamGap{since}); err != nil {
			return err
		}
	}
	maps.DeleteFunc(f.seen, func(_ string, at time.Time) bool { return at.Before(f.oldest()) })
	return f.sendUnread(ctx)
}

// oldest is how old what is new may be.
func (f *notificationFollower) oldest() time.Time {
	if at := f.newest.Add(-lateCommit); at.After(f.floor) {
		return at
	}
	return f.floor
}

// look reads what may be new, the newest first. missed: there are more, which the client has not seen either.
func (f *notificationFollower) look(ctx context.Context) (rows []db.Notification, missed bool, err error) {
	since := f.oldest()
	for page := (db.Page{Limit: db.MaxPageSize}); ; {
		found, next, err := f.s.db.ListNotifications(ctx, db.NotificationFilter{From: since}, page)
		if err != nil {
			return nil, false, err
		}
		rows = append(rows, found...)
		if page.Cursor = next; next == "" {
			return rows, false, nil
		}
		if len(rows) >= streamedAtOnce {
			break
		}
	}
	last := rows[len(rows)-1]
	f.floor = last.CreatedAt
	_, seen := f.seen[last.ID]
	return rows, !seen, nil
}

func (f *notificationFollower) sendUnread(ctx context.Context) error {
	n, err := f.s.db.UnreadNotifications(ctx)
	if err != nil || n == f.unread {
		return err
	}
	f.unread = n
	return f.stream.sendAny(eventUnread, UnreadCount{n})
}
