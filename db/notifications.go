package db

import (
	"context"
	"encoding/json"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Notification is what people are told about something that happened. It must hold no secret.
type Notification struct {
	Type       domain.NotificationType
	Severity   domain.Severity
	EntityType domain.EntityType
	EntityID   string // "" only for EntitySystem
	Title      string
	Message    string
	Metadata   map[string]any

	// The database's.
	ID        string
	ReadAt    *time.Time
	CreatedAt time.Time
}

// NotificationFilter narrows a list; the zero value of a field does not.
type NotificationFilter struct {
	Unread      bool
	Type        domain.NotificationType
	Severity    domain.Severity
	EntityType  domain.EntityType
	EntityID    string
	ExecutionID string
	From        time.Time // written at or after
	To          time.Time // written before
}

// AddNotification writes one internal notification. Call it in the transaction of what it tells, so
// that there is neither one without the other, nor one twice. A worker delivers it to the channels
// that are told such things, once each, after the commit (docs/decisions/0037-notifications.md). Names of what it is
// about are added to its metadata.
func (q *Queries) AddNotification(ctx context.Context, n Notification) error {
	const op = "write a notification"
	id, err := newID()
	if err != nil {
		return err
	}
	if n.Metadata == nil {
		n.Metadata = map[string]any{}
	}
	if err := q.addNames(ctx, &n); err != nil {
		return err
	}
	metadata, err := json.Marshal(n.Metadata)
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	return translate(op, q.q.AddNotification(ctx, dbgen.AddNotificationParams{
		ID: id, Type: string(n.Type), Severity: string(n.Severity), EntityType: string(n.EntityType), EntityID: unlessZero(n.EntityID),
		Title: cleanText(n.Title), Message: cleanText(n.Message), Metadata: metadata,
	}))
}

// GetNotification reads one. Errors: ErrNotFound.
func (q *Queries) GetNotification(ctx context.Context, id string) (Notification, error) {
	op := "read notification " + id
	if err := checkID(op, id); err != nil {
		return Notification{}, err
	}
	scopes, err := scopesFor(ctx)
	if err != nil {
		return Notification{}, err
	}
	row, err := q.q.GetNotification(ctx, dbgen.GetNotificationParams{ID: id, Scopes: scopes})
	if err != nil {
		return Notification{}, translate(op, err)
	}
	return notification(row), nil
}

// ListNotifications reads one page and the cursor of the next, "" on the last one. Errors:
// ErrInvalidCursor.
func (q *Queries) ListNotifications(ctx context.Context, filter NotificationFilter, page Page) ([]Notification, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	if filter.EntityID != "" && !isID(filter.EntityID) {
		return []Notification{}, "", nil // none is about what can not exist
	}
	scopes, err := scopesFor(ctx)
	if err != nil {
		return nil, "", err
	}
	if datasources, storage := notificationLeads(ctx); datasources != nil && filter.ExecutionID == "" {
		rows, err := q.ledNotifications(ctx, scopes, datasources, storage, filter, from, page.fetch())
		if err != nil {
			return nil, "", err
		}
		return notificationsOf(rows, page)
	}
	rows, err := q.q.ListNotifications(ctx, dbgen.ListNotificationsParams{
		Scopes: scopes, UnreadOnly: filter.Unread, Type: unlessZero(string(filter.Type)), Severity: unlessZero(string(filter.Severity)),
		EntityType: unlessZero(string(filter.EntityType)), EntityID: unlessZero(filter.EntityID), ExecutionID: unlessZero(filter.ExecutionID),
		CreatedFrom: unlessZero(filter.From), CreatedTo: unlessZero(filter.To),
		BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate("list notifications", err)
	}
	return notificationsOf(rows, page)
}

func notificationsOf(rows []dbgen.Notification, page Page) ([]Notification, string, error) {
	rows, next := pageOf(rows, page, func(r dbgen.Notification) (time.Time, string) { return r.CreatedAt, r.ID })
	out, err := convert(rows, func(row dbgen.Notification) (Notification, error) { return notification(row), nil })
	return out, next, err
}

// UnreadNotifications counts them.
func (q *Queries) UnreadNotifications(ctx context.Context) (int64, error) {
	scopes, err := scopesFor(ctx)
	if err != nil {
		return 0, err
	}
	n, err := q.q.CountUnreadNotifications(ctx, scopes)
	return n, translate("count unread notifications", err)
}

// MarkNotificationRead marks one; one that is read stays as it is. Errors: ErrNotFound.
func (q *Queries) MarkNotificationRead(ctx context.Context, id string) (Notification, error) {
	op := "mark notification " + id + " as read"
	if err := checkID(op, id); err != nil {
		return Notification{}, err
	}
	scopes, err := scopesFor(ctx)
	if err != nil {
		return Notification{}, err
	}
	row, err := q.q.MarkNotificationRead(ctx, dbgen.MarkNotificationReadParams{ID: id, Scopes: scopes})
	if err != nil {
		return Notification{}, translate(op, err)
	}
	return notification(row), nil
}

// MarkNotificationsRead marks every unread one that was written until then, and returns how many.
func (q *Queries) MarkNotificationsRead(ctx context.Context, until time.Time) (int64, error) {
	scopes, err := scopesFor(ctx)
	if err != nil {
		return 0, err
	}
	n, err := q.q.MarkNotificationsRead(ctx, dbgen.MarkNotificationsReadParams{Until: until, Scopes: scopes})
	return n, translate("mark notifications as read", err)
}

// DeleteNotification deletes one with its deliveries. Errors: ErrNotFound; InUseError while a delivery
// of it waits: deleting it would keep others from being told.
func (q *Queries) DeleteNotification(ctx context.Context, id string) error {
	op := "delete notification " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	return q.inTx(ctx, func(q *Queries) error {
		if _, err := q.q.LockNotification(ctx, id); err != nil {
			return translate(op, err)
		}
		holders, err := q.q.NotificationHolders(ctx, dbgen.NotificationHoldersParams{ID: id, MaxHolders: maxHolders})
		if err := refuseHeld(op, holders, err); err != nil {
			return err
		}
		_, err = q.q.DeleteNotification(ctx, id)
		return translate(op, err)
	})
}

// WakeDispatcher makes the workers look for deliveries when the transaction commits.
func (q *Queries) WakeDispatcher(ctx context.Context) error {
	return translate("wake the dispatcher", q.q.WakeDispatcher(ctx))
}

// NotificationSettings reads how notifications are gathered; the default where nothing is set.
func (q *Queries) NotificationSettings(ctx context.Context) (domain.NotificationSettings, error) {
	settings := domain.DefaultNotificationSettings()
	for key, field := range settings.Fields() {
		if err := q.setting(ctx, key, field); err != nil {
			return settings, err
		}
	}
	return settings, nil
}

// notification reads a row. One whose metadata can not be read is told all the same, with what can: neither a list nor a
// queue stops at it.
func notification(row dbgen.Notification) Notification {
	n := Notification{
		ID: row.ID, Type: row.Type, Severity: row.Severity, EntityType: row.EntityType, Title: row.Title, Message: row.Message,
		ReadAt: row.ReadAt, CreatedAt: row.CreatedAt,
	}
	if row.EntityID != nil {
		n.EntityID = *row.EntityID
	}
	if err := json.Unmarshal(row.Metadata, &n.Metadata); err != nil {
		if n.Metadata == nil {
			n.Metadata = map[string]any{}
		}
		n.Metadata["metadata_error"] = "the metadata can not be read: " + err.Error()
	}
	return n
}

// text is a member of the metadata that is a text, else "".
func (n Notification) text(name string) string {
	value, _ := n.Metadata[name].(string)
	return value
}
