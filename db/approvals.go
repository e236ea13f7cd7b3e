package db

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// ErrNotOpen says that the approval is decided on, used, withdrawn or expired, or its requester decides on it.
var ErrNotOpen = errors.New("the request for approval is not open")

// Approval is a request to do something, and what another person decided.
type Approval struct {
	ID            string
	Action        domain.ApprovalAction
	Permission    string // what the requester needs, and whoever decides
	Resource      string // for example "storage_location"
	ResourceID    string
	Summary       string         // for who decides
	Request       map[string]any // what was asked for, without secrets
	RequestHash   [32]byte       // it is good for this very request
	Status        domain.ApprovalStatus
	RequestedBy   string // id of a user
	RequesterName string
	DecidedBy     *string
	DeciderName   string
	Note          string
	CreatedAt     time.Time
	DecidedAt     *time.Time
	UsedAt        *time.Time
	ExpiresAt     time.Time
}

// ApprovalSettings reads what needs an approval; the default where nothing is set.
func (q *Queries) ApprovalSettings(ctx context.Context) (domain.ApprovalSettings, error) {
	settings := domain.DefaultApprovals()
	for key, into := range map[string]any{
		domain.SettingApproveRestore: &settings.RestoreOverwrite, domain.SettingApproveDeleteBackup: &settings.DeleteBackups,
		domain.SettingApproveDeleteStorage: &settings.DeleteStorageLocations, domain.SettingApprovalExpiry: &settings.ExpiryHours,
	} {
		if err := q.setting(ctx, key, into); err != nil {
			return settings, err
		}
	}
	err := settings.Validate().OrNil()
	return settings, failure.Wrap(failure.ConfigInvalid, "read setting "+domain.SettingApprovalExpiry, err, "Set it to 1 to 720.")
}

// AskApproval stores a request, or returns the one that is open for the same already; made tells which.
func (q *Queries) AskApproval(ctx context.Context, a Approval) (_ Approval, made bool, err error) {
	const op = "ask for an approval"
	if _, err := q.q.LockUser(ctx, a.RequestedBy); err != nil { // one after the other
		return Approval{}, false, translate(op, err)
	}
	open, err := q.q.OpenApproval(ctx, dbgen.OpenApprovalParams{RequestedBy: a.RequestedBy, RequestHash: a.RequestHash[:]})
	if err == nil {
		found, err := approval(open)
		return found, false, err
	}
	if err := translate(op, err); !errors.Is(err, ErrNotFound) {
		return Approval{}, false, err
	}
	id, err := newID()
	if err != nil {
		return Approval{}, false, err
	}
	request, err := json.Marshal(a.Request)
	if err != nil {
		return Approval{}, false, failure.Wrap(failure.Unknown, op, err, "")
	}
	row, err := q.q.CreateApproval(ctx, dbgen.CreateApprovalParams{
		ID: id, Action: string(a.Action), Permission: a.Permission, Resource: a.Resource, ResourceID: a.ResourceID,
		Summary: cleanText(a.Summary), Request: request, RequestHash: a.RequestHash[:],
		RequestedBy: a.RequestedBy, RequesterName: a.RequesterName, ExpiresAt: a.ExpiresAt,
	})
	if err != nil {
		return Approval{}, false, translate(op, err)
	}
	out, err := approval(row)
	return out, true, err
}

// GetApproval reads one. Errors: ErrNotFound.
func (q *Queries) GetApproval(ctx context.Context, id string) (Approval, error) {
	op := "read approval " + id
	if err := checkID(op, id); err != nil {
		return Approval{}, err
	}
	row, err := q.q.GetApproval(ctx, id)
	if err != nil {
		return Approval{}, translate(op, err)
	}
	return approval(row)
}

// ListApprovals reads one page of those that the viewer asked for, or that need one of the permissions.
// status narrows it, "" does not. Errors: ErrInvalidCursor.
func (q *Queries) ListApprovals(ctx context.Context, viewer string, permissions []string, status domain.ApprovalStatus, page Page) ([]Approval, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListApprovals(ctx, dbgen.ListApprovalsParams{
		Viewer: viewer, Permissions: orEmpty(permissions), Status: unlessZero(string(status)),
		BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate("list approvals", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.Approval) (time.Time, string) { return r.CreatedAt, r.ID })
	out, err := convert(rows, approval)
	return out, next, err
}

// DecideApproval approves or rejects one that is open. An approval is good until a.ExpiresAt. Errors: ErrNotOpen,
// also where the requester decides.
func (q *Queries) DecideApproval(ctx context.Context, a Approval) (Approval, error) {
	row, err := q.q.DecideApproval(ctx, dbgen.DecideApprovalParams{
		ID: a.ID, Status: string(a.Status), DecidedBy: a.DecidedBy, DeciderName: a.DeciderName, Note: cleanText(a.Note), ExpiresAt: a.ExpiresAt,
	})
	return openApproval("decide on approval "+a.ID, row, err)
}

// WithdrawApproval takes back a request of this user that was not used. Errors: ErrNotOpen.
func (q *Queries) WithdrawApproval(ctx context.Context, id, userID string) (Approval, error) {
	row, err := q.q.WithdrawApproval(ctx, dbgen.WithdrawApprovalParams{ID: id, RequestedBy: userID})
	return openApproval("withdraw approval "+id, row, err)
}

// UseApproval uses an approval up, in the transaction of what it lets happen: once, by its requester, for the
// very request. Errors: ErrNotOpen.
func (q *Queries) UseApproval(ctx context.Context, id, userID string, action domain.ApprovalAction, requestHash [32]byte) error {
	if !isID(id) {
		return ErrNotOpen
	}
	n, err := q.q.UseApproval(ctx, dbgen.UseApprovalParams{ID: id, RequestedBy: userID, Action: string(action), RequestHash: requestHash[:]})
	if err == nil && n == 0 {
		return ErrNotOpen
	}
	return translate("use approval "+id, err)
}

// UndecideApproval takes an approval back that was given at that time and not used: the request is open again. Errors: ErrNotOpen, also
// where somebody has decided anew since.
func (q *Queries) UndecideApproval(ctx context.Context, id string, decidedAt time.Time) (Approval, error) {
	row, err := q.q.UndecideApproval(ctx, dbgen.UndecideApprovalParams{ID: id, DecidedAt: decidedAt})
	return openApproval("take approval "+id+" back", row, err)
}

// ReopenApproval gives an approval back that was used up for what could not be begun then. Errors: ErrNotOpen for one that is not used
// up, or gone.
func (q *Queries) ReopenApproval(ctx context.Context, id string) (Approval, error) {
	if !isID(id) {
		return Approval{}, ErrNotOpen
	}
	row, err := q.q.ReopenApproval(ctx, id)
	return openApproval("give approval "+id+" back", row, err)
}

func openApproval(op string, row dbgen.Approval, err error) (Approval, error) {
	if err = translate(op, err); errors.Is(err, ErrNotFound) {
		return Approval{}, ErrNotOpen
	}
	if err != nil {
		return Approval{}, err
	}
	return approval(row)
}

func approval(row dbgen.Approval) (Approval, error) {
	a := Approval{
		ID: row.ID, Action: domain.ApprovalAction(row.Action), Permission: row.Permission, Resource: row.Resource, ResourceID: row.ResourceID,
		Summary: row.Summary, Status: domain.ApprovalStatus(row.Status), RequestedBy: row.RequestedBy, RequesterName: row.RequesterName,
		DecidedBy: row.DecidedBy, DeciderName: row.DeciderName, Note: row.Note,
		CreatedAt: row.CreatedAt, DecidedAt: row.DecidedAt, UsedAt: row.UsedAt, ExpiresAt: row.ExpiresAt,
	}
	copy(a.RequestHash[:], row.RequestHash)
	if open := a.Status == domain.ApprovalPending || a.Status == domain.ApprovalApproved; open && !time.Now().Before(a.ExpiresAt) {
		a.Status = domain.ApprovalExpired
	}
	return a, failure.Wrap(failure.Corrupt, "read approval "+row.ID, json.Unmarshal(row.Request, &a.Request), "")
}
