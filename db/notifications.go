package db

import (
	"context"
	"encoding/json"

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
}

// AddNotification writes one internal notification. Call it in the transaction of what it tells, so
// that there is neither one without the other, nor one twice.
func (q *Queries) AddNotification(ctx context.Context, n Notification) error {
	const op = "write a notification"
	id, err := newID()
	if err != nil {
		return err
	}
	if n.Metadata == nil {
		n.Metadata = map[string]any{}
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
