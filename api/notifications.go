package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Notification is a notification as clients see it.
type Notification struct {
	ID         string                  `json:"id" format:"uuid"`
	Type       domain.NotificationType `json:"type"`
	Severity   domain.Severity         `json:"severity" enum:"info,warning,critical"`
	EntityType domain.EntityType       `json:"entity_type"`
	EntityID   string                  `json:"entity_id,omitempty" doc:"Left out for entity_type system"`
	Title      string                  `json:"title"`
	Message    string                  `json:"message"`
	Metadata   map[string]any          `json:"metadata" doc:"What else is known, for example execution_id, job, datasource, storage"`
	ReadAt     *time.Time              `json:"read_at"`
	CreatedAt  time.Time               `json:"created_at"`
}

// NotificationQuery narrows the list.
type NotificationQuery struct {
	Paging
	Unread      bool                    `query:"unread" doc:"Only those that nobody has read"`
	Type        domain.NotificationType `query:"type" enum:"backup_success,backup_failed,connection_lost,connection_restored,storage_full,storage_unreachable,health_degraded,cleanup_completed,restore_success,restore_failed,sync_failed,sync_recovered,restore_drill_success,restore_drill_failed"`
	Severity    domain.Severity         `query:"severity" enum:"info,warning,critical"`
	EntityType  domain.EntityType       `query:"entity_type" enum:"datasource,backup_job,database_sync_job,restore_drill_job,storage_location,system"`
	EntityID    string                  `query:"entity_id" format:"uuid"`
	ExecutionID string                  `query:"execution_id" format:"uuid"`
	From        time.Time               `query:"from" doc:"Written at or after"`
	To          time.Time               `query:"to" doc:"Written before"`
}

// UnreadCount is how many notifications nobody has read.
type UnreadCount struct {
	Unread int64 `json:"unread"`
}

// ReadAll says which notifications are marked as read.
type ReadAll struct {
	Until *time.Time `json:"until,omitempty" doc:"Those written until then, so that one which came meanwhile is not missed; default now"`
}

// ReadCount is how many notifications were marked as read.
type ReadCount struct {
	Read int64 `json:"read"`
}

func (s *server) registerNotifications() {
	tags, path := []string{"Notifications"}, "/api/notifications"
	read, manage := requires(auth.NotificationsRead), requires(auth.NotificationsManage)
	register(s, read, huma.Operation{
		OperationID: "list-notifications", Method: http.MethodGet, Path: path, Tags: tags, Summary: "List notifications",
	}, s.listNotifications)
	register(s, read, huma.Operation{
		OperationID: "count-unread-notifications", Method: http.MethodGet, Path: path + "/unread-count", Tags: tags, Summary: "Count unread notifications",
	}, s.countUnread)
	register(s, read, huma.Operation{
		OperationID: "get-notification", Method: http.MethodGet, Path: path + "/{id}", Tags: tags, Summary: "Get a notification",
		Errors: []int{http.StatusNotFound},
	}, s.getNotification)
	register(s, manage, huma.Operation{
		OperationID: "read-notification", Method: http.MethodPost, Path: path + "/{id}/read", Tags: tags, Summary: "Mark a notification as read",
		Description: "For everybody: notifications are the installation's, not a user's.", Errors: []int{http.StatusNotFound},
	}, s.readNotification)
	register(s, manage, huma.Operation{
		OperationID: "read-all-notifications", Method: http.MethodPost, Path: path + "/read-all", Tags: tags, Summary: "Mark all notifications as read",
	}, s.readAllNotifications)
	register(s, manage, huma.Operation{
		OperationID: "delete-notification", Method: http.MethodDelete, Path: path + "/{id}", Tags: tags, Summary: "Delete a notification",
		Description:   "With its delivery history. 409 while a delivery of it waits.",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.deleteNotification)
	s.registerNotificationEvents(tags, path)
	s.registerNotificationDeliveries(tags)
}

func (s *server) listNotifications(ctx context.Context, in *NotificationQuery) (*body[page[Notification]], error) {
	rows, next, err := s.db.ListNotifications(ctx, db.NotificationFilter{
		Unread: in.Unread, Type: in.Type, Severity: in.Severity, EntityType: in.EntityType, EntityID: in.EntityID,
		ExecutionID: in.ExecutionID, From: in.From, To: in.To,
	}, in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewNotification), nil
}

func (s *server) countUnread(ctx context.Context, _ *struct{}) (*body[UnreadCount], error) {
	n, err := s.db.UnreadNotifications(ctx)
	return &body[UnreadCount]{UnreadCount{n}}, err
}

func (s *server) getNotification(ctx context.Context, in *ByID) (*body[Notification], error) {
	row, err := s.db.GetNotification(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "notification", in.ID)
	}
	return &body[Notification]{viewNotification(row)}, nil
}

func (s *server) readNotification(ctx context.Context, in *ByID) (*body[Notification], error) {
	var row db.Notification
	err := s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if row, err = q.MarkNotificationRead(ctx, in.ID); err != nil {
			return missing(err, "notification", in.ID)
		}
		return q.AddAudit(ctx, audited(ctx, "notification.read", "notification", row.ID, nil))
	})
	return &body[Notification]{viewNotification(row)}, err
}

func (s *server) readAllNotifications(ctx context.Context, in *struct {
	Body *ReadAll
}) (*body[ReadCount], error) {
	until := time.Now()
	if in.Body != nil && in.Body.Until != nil {
		until = *in.Body.Until
	}
	var n int64
	err := s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if n, err = q.MarkNotificationsRead(ctx, until); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "notification.read_all", "notification", "", map[string]any{"read": n, "until": until}))
	})
	return &body[ReadCount]{ReadCount{n}}, err
}

func (s *server) deleteNotification(ctx context.Context, in *ByID) (*empty, error) {
	return nil, s.db.InTx(ctx, func(q *db.Queries) error {
		row, err := q.GetNotification(ctx, in.ID)
		if err != nil {
			return missing(err, "notification", in.ID)
		}
		if err := q.DeleteNotification(ctx, in.ID); err != nil {
			return missing(err, "notification", in.ID)
		}
		return q.AddAudit(ctx, audited(ctx, "notification.delete", "notification", row.ID, map[string]any{"before": viewNotification(row)}))
	})
}

func viewNotification(row db.Notification) Notification {
	return Notification{
		ID: row.ID, Type: row.Type, Severity: row.Severity, EntityType: row.EntityType, EntityID: row.EntityID, Title: row.Title,
		Message: row.Message, Metadata: row.Metadata, ReadAt: row.ReadAt, CreatedAt: row.CreatedAt,
	}
}
