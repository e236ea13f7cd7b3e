package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

const approvalsPath = "/api/approvals"

var reflectAsked = reflect.TypeFor[askedApproval]()

// Approval is a request for approval as clients see it.
type Approval struct {
	ID            string                `json:"id" format:"uuid"`
	Action        domain.ApprovalAction `json:"action" enum:"restore_overwrite,delete_backup,delete_storage_location,weaken_approvals"`
	Permission    auth.Permission       `json:"permission" doc:"What whoever decides must hold"`
	Resource      string                `json:"resource"`
	ResourceID    string                `json:"resource_id"`
	Summary       string                `json:"summary"`
	Request       map[string]any        `json:"request" doc:"What was asked for; the approval is good for exactly this"`
	Status        domain.ApprovalStatus `json:"status" enum:"pending,approved,rejected,withdrawn,used,expired"`
	RequestedBy   string                `json:"requested_by"`
	RequesterName string                `json:"requester_name"`
	DecidedBy     *string               `json:"decided_by"`
	DeciderName   string                `json:"decider_name"`
	Note          string                `json:"note" doc:"Of whoever decided"`
	CreatedAt     time.Time             `json:"created_at"`
	DecidedAt     *time.Time            `json:"decided_at"`
	UsedAt        *time.Time            `json:"used_at"`
	ExpiresAt     time.Time             `json:"expires_at"`
}

// approvers are the permissions of what may need an approval.
var approvers = []auth.Permission{
	auth.BackupsRestore, auth.ExecutionsControl, auth.StorageWrite, auth.DBSyncJobsRun, auth.DBSyncJobsWrite, auth.BackupJobsWrite, auth.SystemWrite,
}

func (s *server) registerApprovals() {
	tags, member := []string{"Approvals"}, requires(approvers...)
	gone := []int{http.StatusNotFound, http.StatusConflict}
	register(s, member, huma.Operation{
		OperationID: "list-approvals", Method: http.MethodGet, Path: approvalsPath, Tags: tags, Summary: "List requests for approval",
		Description: "Those that you asked for, and those that you may decide on.",
	}, s.listApprovals)
	register(s, member, huma.Operation{
		OperationID: "get-approval", Method: http.MethodGet, Path: approvalsPath + "/{id}", Tags: tags, Summary: "Get a request for approval", Errors: gone[:1],
	}, s.getApproval)
	decides := access{anyOf: approvers, person: true}
	register(s, decides, huma.Operation{
		OperationID: "approve", Method: http.MethodPost, Path: approvalsPath + "/{id}/approve", Tags: tags, Summary: "Approve",
		Description: "Never one's own request. The requester then repeats the call with the header `" + approvalHeader + "`, once.", Errors: gone,
	}, func(ctx context.Context, in *decision) (*body[Approval], error) {
		return s.decide(ctx, "approve", in, domain.ApprovalApproved)
	})
	register(s, decides, huma.Operation{
		OperationID: "reject", Method: http.MethodPost, Path: approvalsPath + "/{id}/reject", Tags: tags, Summary: "Reject", Errors: gone,
	}, func(ctx context.Context, in *decision) (*body[Approval], error) {
		return s.decide(ctx, "reject", in, domain.ApprovalRejected)
	})
	register(s, member, huma.Operation{
		OperationID: "withdraw-approval", Method: http.MethodDelete, Path: approvalsPath + "/{id}", Tags: tags,
		Summary: "Withdraw one's own request", DefaultStatus: http.StatusNoContent, Errors: gone,
	}, s.withdrawApproval)
}

// decidable are the permissions whose approvals the caller decides on: those that are held without limits.
func decidable(ctx context.Context) []string {
	who := principalOf(ctx)
	grants := who.Grants
	if who.held != nil {
		grants = grants.Intersect(who.held.Unlimited())
	}
	var out []string
	for _, p := range approvers {
		if grants.Allows(p) {
			out = append(out, string(p))
		}
	}
	return out
}

type listApprovalsInput struct {
	Paging
	Status string `query:"status" enum:"pending,approved,rejected,withdrawn,used,expired"`
}

func (s *server) listApprovals(ctx context.Context, in *listApprovalsInput) (*body[page[Approval]], error) {
	rows, next, err := s.db.ListApprovals(ctx, principalOf(ctx).User.ID, decidable(ctx), domain.ApprovalStatus(in.Status), in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewApproval), nil
}

func (s *server) getApproval(ctx context.Context, in *ByID) (*body[Approval], error) {
	row, err := visibleApproval(ctx, s.db.Queries, in.ID)
	if err != nil {
		return nil, err
	}
	return &body[Approval]{viewApproval(row)}, nil
}

// visibleApproval reads one that the caller asked for or may decide on; others are not found.
func visibleApproval(ctx context.Context, q *db.Queries, id string) (db.Approval, error) {
	row, err := q.GetApproval(ctx, id)
	if err == nil && row.RequestedBy != principalOf(ctx).User.ID && !mayDecide(ctx, row) {
		err = db.ErrNotFound
	}
	return row, missing(err, "approval", id)
}

func mayDecide(ctx context.Context, row db.Approval) bool {
	return slices.Contains(decidable(ctx), row.Permission)
}

type decision struct {
	ByID
	Body *struct {
		Note string `json:"note,omitempty" maxLength:"1000" doc:"For the requester and the audit trail"`
	} `required:"false"`
}

func (s *server) decide(ctx context.Context, operation string, in *decision, status domain.ApprovalStatus) (*body[Approval], error) {
	who := principalOf(ctx)
	row, err := visibleApproval(ctx, s.db.Queries, in.ID)
	if err != nil {
		return nil, err
	}
	if row.RequestedBy == who.User.ID {
		return nil, s.refuseFor(ctx, operation, "Nobody decides on their own request; another person must.", http.StatusForbidden)
	}
	note := ""
	if in.Body != nil {
		note = in.Body.Note
	}
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		settings, err := q.ApprovalSettings(ctx)
		if err != nil {
			return err
		}
		row, err = q.DecideApproval(ctx, db.Approval{
			ID: in.ID, Status: status, DecidedBy: &who.User.ID, DeciderName: who.User.Email, Note: note, ExpiresAt: time.Now().Add(settings.Life()),
		})
		if err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "approval."+string(status), "approval", row.ID, map[string]any{"after": viewApproval(row)}))
	})
	if errors.Is(err, db.ErrNotOpen) {
		return nil, s.notOpen(ctx, in.ID)
	}
	if err != nil {
		return nil, err
	}
	return &body[Approval]{viewApproval(row)}, nil
}

func (s *server) withdrawApproval(ctx context.Context, in *ByID) (*empty, error) {
	who := principalOf(ctx)
	row, err := visibleApproval(ctx, s.db.Queries, in.ID)
	if err != nil {
		return nil, err
	}
	if row.RequestedBy != who.User.ID {
		return nil, s.refuseFor(ctx, "withdraw-approval", "Only the requester withdraws a request; you can reject it.", http.StatusForbidden)
	}
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		if err := lockCaller(ctx, q); err != nil {
			return err
		}
		row, err := q.WithdrawApproval(ctx, in.ID, who.User.ID)
		if err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "approval.withdrawn", "approval", row.ID, map[string]any{"after": viewApproval(row)}))
	})
	if errors.Is(err, db.ErrNotOpen) {
		return nil, s.notOpen(ctx, in.ID)
	}
	return nil, err
}

// notOpen says what became of a request meanwhile.
func (s *server) notOpen(ctx context.Context, id string) error {
	row, err := s.db.GetApproval(ctx, id)
	if err != nil {
		return missing(err, "approval", id)
	}
	return problem.New(http.StatusConflict, fmt.Sprintf("This request is %s already.", row.Status))
}

func viewApproval(row db.Approval) Approval {
	if row.Request == nil { // a deletion depends on nothing but what is deleted
		row.Request = map[string]any{}
	}
	return Approval{
		ID: row.ID, Action: row.Action, Permission: auth.Permission(row.Permission), Resource: row.Resource, ResourceID: row.ResourceID,
		Summary: row.Summary, Request: row.Request, Status: row.Status, RequestedBy: row.RequestedBy, RequesterName: row.RequesterName,
		DecidedBy: row.DecidedBy, DeciderName: row.DeciderName, Note: row.Note,
		CreatedAt: row.CreatedAt, DecidedAt: row.DecidedAt, UsedAt: row.UsedAt, ExpiresAt: row.ExpiresAt,
	}
}
