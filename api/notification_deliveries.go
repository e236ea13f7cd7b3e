package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Delivery is one notification on its way to one channel.
type Delivery struct {
	ID             string                `json:"id" format:"uuid"`
	NotificationID string                `json:"notification_id" format:"uuid"`
	ChannelID      *string               `json:"channel_id" doc:"null for a heartbeat, and when the channel was deleted"`
	ChannelName    string                `json:"channel_name" doc:"As it was then"`
	ChannelType    domain.ChannelType    `json:"channel_type" enum:"smtp,webhook,whatsapp,heartbeat"`
	Status         domain.DeliveryStatus `json:"status" enum:"pending,sending,sent,failed,collapsed,dropped"`
	SentWith       *string               `json:"sent_with" doc:"The delivery whose message, a digest, stands for this one too"`
	ResendOf       *string               `json:"resend_of"`
	DueAt          time.Time             `json:"due_at" doc:"Not sent before: quiet hours, or a flapping source"`
	Flapping       bool                  `json:"flapping"`
	Attempts       int32                 `json:"attempts"`
	LatencyMS      *int64                `json:"latency_ms" doc:"How long the server took, in the last attempt"`
	Answer         string                `json:"answer" doc:"What the server said"`
	Error          string                `json:"error" doc:"Why it failed, or why the last attempt did"`
	Recipients     []RecipientOutcome    `json:"recipients" doc:"What came of each, where a channel has several; until it was tried, a recipient is not here"`
	StartedAt      *time.Time            `json:"started_at"`
	FinishedAt     *time.Time            `json:"finished_at"`
	CreatedAt      time.Time             `json:"created_at"`
}

// RecipientOutcome is what came of one recipient of a delivery.
type RecipientOutcome struct {
	Recipient string                `json:"recipient" doc:"An address, or the end of a number"`
	State     domain.RecipientState `json:"state" enum:"sent,refused,failed,uncertain" doc:"refused: for good, no later attempt goes there; uncertain: no answer came, it may be there"`
	Said      string                `json:"said" doc:"What the server said, or why it was not reached"`
	At        *time.Time            `json:"at" doc:"When; null for one that had it already when this delivery was made"`
}

// DeliveryQuery narrows the list.
type DeliveryQuery struct {
	Paging
	ChannelID      string                `query:"channel_id" format:"uuid"`
	NotificationID string                `query:"notification_id" format:"uuid"`
	Status         domain.DeliveryStatus `query:"status" enum:"pending,sending,sent,failed,collapsed,dropped"`
}

func (s *server) registerNotificationDeliveries(tags []string) {
	path := "/api/notification-deliveries"
	register(s, requires(auth.NotificationsRead), huma.Operation{
		OperationID: "list-notification-deliveries", Method: http.MethodGet, Path: path, Tags: tags, Summary: "List deliveries of notifications",
		Description: "The history of every channel, with outcome, latency and what the server said.",
	}, s.listDeliveries)
	register(s, requires(auth.NotificationsRead), huma.Operation{
		OperationID: "get-notification-delivery", Method: http.MethodGet, Path: path + "/{id}", Tags: tags, Summary: "Get a delivery",
		Errors: []int{http.StatusNotFound},
	}, s.getDelivery)
	register(s, requires(auth.NotificationsManage), huma.Operation{
		OperationID: "resend-notification", Method: http.MethodPost, Path: path + "/{id}/resend", Tags: tags, Summary: "Send a notification to a channel again",
		Description:   "For a delivery that has ended. The answer is the new delivery, with an id of its own.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound},
	}, s.resendDelivery)
}

func (s *server) listDeliveries(ctx context.Context, in *DeliveryQuery) (*body[page[Delivery]], error) {
	rows, next, err := s.db.ListDeliveries(ctx, db.DeliveryFilter{ChannelID: in.ChannelID, NotificationID: in.NotificationID, Status: in.Status}, in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewDelivery), nil
}

func (s *server) getDelivery(ctx context.Context, in *ByID) (*body[Delivery], error) {
	row, err := s.db.GetDelivery(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "delivery", in.ID)
	}
	return &body[Delivery]{viewDelivery(row)}, nil
}

func (s *server) resendDelivery(ctx context.Context, in *ByID) (*body[Delivery], error) {
	var row db.Delivery
	err := s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if row, err = q.Resend(ctx, in.ID); err != nil {
			return missing(err, "delivery", in.ID)
		}
		return q.AddAudit(ctx, audited(ctx, "notification.resend", "notification", row.NotificationID, map[string]any{"delivery": row.ID, "resend_of": in.ID, "channel": row.ChannelName}))
	})
	return &body[Delivery]{viewDelivery(row)}, err
}

func viewDelivery(row db.Delivery) Delivery {
	return Delivery{
		ID: row.ID, NotificationID: row.NotificationID, ChannelID: row.ChannelID, ChannelName: row.ChannelName, ChannelType: row.ChannelType,
		Status: row.Status, SentWith: row.SentWith, ResendOf: row.ResendOf, DueAt: row.DueAt, Flapping: row.Flapping, Attempts: row.Attempts,
		LatencyMS: row.LatencyMS, Answer: row.Answer, Error: row.ErrorMessage, StartedAt: row.StartedAt, FinishedAt: row.FinishedAt, CreatedAt: row.CreatedAt,
		Recipients: viewOutcomes(row),
	}
}

// viewOutcomes lists what is known of each recipient, by its name.
func viewOutcomes(row db.Delivery) []RecipientOutcome {
	outcomes := []RecipientOutcome{}
	for to, o := range row.Outcomes {
		outcomes = append(outcomes, RecipientOutcome{domain.RecipientName(to), o.State, o.Said, &o.At})
	}
	for _, to := range row.Reached { // as of the delivery that this one is a resend of
		if _, known := row.Outcomes[to]; !known {
			outcomes = append(outcomes, RecipientOutcome{domain.RecipientName(to), domain.RecipientSent, "", nil})
		}
	}
	slices.SortFunc(outcomes, func(a, b RecipientOutcome) int { return strings.Compare(a.Recipient, b.Recipient) })
	return outcomes
}
