package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
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

// streamedAtOnce is how many new notifications are looked for after a change; older ones are in the list.
const streamedAtOnce = 200

func (s *server) registerNotificationEvents(tags []string, path string) {
	operation := huma.Operation{
		OperationID: "follow-notifications", Method: http.MethodGet, Path: path + "/events", Tags: tags,
		Summary: "Follow notifications (server-sent events)",
		Description: "Event `unread` with `{\"unread\": n}` at once and with every change of it, `notification` with each that is written from now on. " +
			"A comment every 10 seconds keeps the connection open.",
	}
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Notification](), true, "Notification")
	operation.Responses = map[string]*huma.Response{"200": {
		Description: "A stream of events",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: schema}},
	}}
	register(s, requires(auth.NotificationsRead), operation, s.followNotifications)
}

func (s *server) followNotifications(_ context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(out huma.Context) {
		follower := notificationFollower{s: s, stream: newEventStream(out), seen: map[string]bool{}, unread: -1}
		if err := follower.run(out.Context()); err != nil && out.Context().Err() == nil {
			s.log.WarnContext(out.Context(), "event stream of notifications ended early", "error", err)
		}
	}}, nil
}

// notificationFollower sends one client what is new. What is new is found by what was sent: transactions become
// visible in another order than their rows were made in.
type notificationFollower struct {
	s      *server
	stream *eventStream
	seen   map[string]bool
	unread int64
}

func (f *notificationFollower) run(ctx context.Context) error {
	changes, release, err := f.s.notifications.watch(everyNotification) // before the first read, so that none falls between
	if err != nil {
		return fmt.Errorf("listen for notifications: %w", err)
	}
	defer release()
	if _, err := f.fresh(ctx); err != nil {
		return err
	}
	if err := f.sendUnread(ctx); err != nil {
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

func (f *notificationFollower) sendFresh(ctx context.Context) error {
	fresh, err := f.fresh(ctx)
	if err != nil {
		return err
	}
	for i := len(fresh) - 1; i >= 0; i-- { // the oldest first
		if err := f.stream.sendAny(eventNotification, viewNotification(fresh[i])); err != nil {
			return err
		}
	}
	return f.sendUnread(ctx)
}

// fresh are those of the newest that were not seen yet, the newest first.
func (f *notificationFollower) fresh(ctx context.Context) ([]db.Notification, error) {
	rows, _, err := f.s.db.ListNotifications(ctx, db.NotificationFilter{}, db.Page{Limit: streamedAtOnce})
	if err != nil {
		return nil, err
	}
	var fresh []db.Notification
	now := make(map[string]bool, len(rows))
	for _, row := range rows {
		now[row.ID] = true
		if !f.seen[row.ID] {
			fresh = append(fresh, row)
		}
	}
	f.seen = now
	return fresh, nil
}

func (f *notificationFollower) sendUnread(ctx context.Context) error {
	n, err := f.s.db.UnreadNotifications(ctx)
	if err != nil || n == f.unread {
		return err
	}
	f.unread = n
	return f.stream.sendAny(eventUnread, UnreadCount{n})
}
