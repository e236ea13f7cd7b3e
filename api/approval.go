package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// approvalHeader carries the id of an approval: in the answer that asks for one, and in the call that uses it.
const approvalHeader = "Approval-Id"

// byIDApproved is ByID for what may need an approval.
type byIDApproved struct {
	ByID
	Approved
}

// Approved is the header of a call that may need an approval.
type Approved struct {
	ApprovalID string `header:"Approval-Id" format:"id" maxLength:"36" doc:"Where another person must approve this: the id of their approval. Without one the answer is 202 with the request for approval, and nothing is done"`
}

// approvedBody is the body of what may need an approval.
type approvedBody[T any] struct {
	Approved
	Body T
}

// approvedPatch is patchOf for what may need an approval.
type approvedPatch[T any] struct {
	Approved
	ID      string `path:"id" format:"uuid" doc:"Its id"`
	IfMatch string `header:"If-Match" maxLength:"128" doc:"ETag of the answer that the change starts from; another version is 412"`
	Body    Patch[T]
}

type approvalKey struct{}

// withApproval passes the id of an approval to an operation that other operations go through as well, which have none.
func (a Approved) withApproval(ctx context.Context) context.Context {
	return context.WithValue(ctx, approvalKey{}, a.ApprovalID)
}

func approvalOf(ctx context.Context) string {
	id, _ := ctx.Value(approvalKey{}).(string)
	return id
}

// withApprovals is the operation that makes something, or asks for an approval of that.
func withApprovals[D, V any](s *server, create func(context.Context, *body[D]) (*created[V], error)) func(context.Context, *approvedBody[D]) (*created[V], error) {
	return func(ctx context.Context, in *approvedBody[D]) (*created[V], error) {
		out, err := create(in.withApproval(ctx), &body[D]{in.Body})
		return out, s.orAsk(ctx, err)
	}
}

// patchWithApprovals is withApprovals for a change.
func patchWithApprovals[D, V any](s *server, update func(context.Context, *patchOf[D]) (*versioned[V], error)) func(context.Context, *approvedPatch[D]) (*versioned[V], error) {
	return func(ctx context.Context, in *approvedPatch[D]) (*versioned[V], error) {
		out, err := update(in.withApproval(ctx), &patchOf[D]{ID: in.ID, IfMatch: in.IfMatch, Body: in.Body})
		return out, s.orAsk(ctx, err)
	}
}

// irreversible is something that may need the approval of another person.
type irreversible struct {
	action     domain.ApprovalAction
	permission auth.Permission // what it needs, and whoever approves it
	resource   string
	resourceID string
	summary    string
	request    map[string]any // all that it depends on, without secrets: the approval is good for nothing else
}

// hash is of the very request.
func (i irreversible) hash() ([32]byte, error) {
	text, err := json.Marshal([]any{i.action, i.resource, i.resourceID, i.request}) // maps are written in order
	if err != nil {
		return [32]byte{}, fmt.Errorf("write the request for approval: %w", err)
	}
	return sha256.Sum256(text), nil
}

// approvalMissing rolls a change back that needs an approval and has none.
type approvalMissing struct {
	irreversible
	life time.Duration
}

func (*approvalMissing) Error() string { return "it needs the approval of another person" }

// approved uses up the approval of a change, in its transaction, where one is needed. Call it last, so that
// what fails anyway is told before anybody is asked. It adds the approval to what is audited. Errors:
// approvalMissing and approvalLapsed, for orAsk; a problem for an approval that is none.
func approved(ctx context.Context, q *db.Queries, id string, i irreversible, changes map[string]any) error {
	settings, err := q.ApprovalSettings(ctx)
	if err != nil || !settings.Needs(i.action) {
		return err
	}
	if id == "" {
		return &approvalMissing{i, settings.Life()}
	}
	hash, err := i.hash()
	if err != nil {
		return err
	}
	if err := lockCaller(ctx, q); err != nil {
		return err
	}
	if err := q.UseApproval(ctx, id, principalOf(ctx).User.ID, i.action, hash); err != nil {
		if errors.Is(err, db.ErrNotOpen) {
			return whyUnusable(ctx, q, id, hash)
		}
		return err
	}
	if err := stillApproved(ctx, q, id); err != nil {
		return err
	}
	changes[usedApproval] = id
	return nil
}

// usedApproval is what an audit entry calls the approval that was used up.
const usedApproval = "approval_id"

// reopen gives back the approval that was used up for what could not be begun, and no other one that a client may name. Call it in the
// transaction that records that.
func reopen(ctx context.Context, q *db.Queries, changes map[string]any) error {
	id, used := changes[usedApproval].(string)
	if !used {
		return nil
	}
	row, err := q.ReopenApproval(ctx, id)
	if errors.Is(err, db.ErrNotOpen) {
		return nil // it went with its requester
	}
	if err != nil {
		return err
	}
	return q.AddAudit(ctx, audited(ctx, "approval.reopened", "approval", row.ID, map[string]any{"after": viewApproval(row)}))
}

// closeUnbegun ends by finish what was not begun and, in the same transaction, gives back the approval that was used up for it. Where the audit
// trail does not take that, or the requester is gone, the approval stays used: what did not begin is never left open.
func (s *server) closeUnbegun(ctx context.Context, changes map[string]any, finish func(*db.Queries) (bool, error)) (closed bool, err error) {
	if _, used := changes[usedApproval]; !used {
		return finish(s.db.Queries)
	}
	err = s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if err := lockCaller(ctx, q); err != nil {
			return err
		}
		if closed, err = finish(q); err != nil || !closed {
			return err
		}
		return reopen(ctx, q, changes)
	})
	if err != nil {
		s.log.ErrorContext(ctx, "an approval that was used for what did not begin is not given back", "approval", changes[usedApproval], "error", err)
		return finish(s.db.Queries)
	}
	return closed, nil
}

// notBegun records that what was audited, and perhaps approved, could not be begun: the approval is good again.
func (s *server) notBegun(ctx context.Context, changes map[string]any, entry db.AuditEntry) error {
	return s.db.InTx(ctx, func(q *db.Queries) error {
		if err := lockCaller(ctx, q); err != nil {
			return err
		}
		if err := reopen(ctx, q, changes); err != nil {
			return err
		}
		return q.AddAudit(ctx, entry)
	})
}

func whyUnusable(ctx context.Context, q *db.Queries, id string, hash [32]byte) error {
	row, err := q.GetApproval(ctx, id)
	if errors.Is(err, db.ErrNotFound) || err == nil && row.RequestedBy != principalOf(ctx).User.ID {
		return invalidField("header."+approvalHeader, "is no approval that you asked for")
	}
	if err != nil {
		return err
	}
	if row.RequestHash != hash {
		return problem.New(http.StatusConflict, "This approval was given for another request; repeat exactly what it was asked for, or ask for another.")
	}
	return problem.New(http.StatusConflict, fmt.Sprintf("This approval can not be used: it is %s.", row.Status))
}

// orAsk turns a missing approval into a request for one, and one that has lapsed into a request again. Every other error stays what it is.
func (s *server) orAsk(ctx context.Context, err error) error {
	if lapsed := (*approvalLapsed)(nil); errors.As(err, &lapsed) {
		return s.askAnother(ctx, lapsed)
	}
	var missing *approvalMissing
	if !errors.As(err, &missing) {
		return err
	}
	hash, err := missing.hash()
	if err != nil {
		return err
	}
	who := principalOf(ctx)
	var row db.Approval
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		asked, made, err := q.AskApproval(ctx, db.Approval{
			Action: missing.action, Permission: string(missing.permission), Resource: missing.resource, ResourceID: missing.resourceID,
			Summary: missing.summary, Request: missing.request, RequestHash: hash,
			RequestedBy: who.User.ID, RequesterName: who.User.Email, ExpiresAt: time.Now().Add(missing.life),
		})
		if row = asked; err != nil || !made {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "approval.request", "approval", row.ID, map[string]any{"after": viewApproval(row)}))
	})
	if err != nil {
		return err
	}
	return &askedApproval{
		Detail: "Nothing is done yet: another person who holds " + row.Permission + " must approve it. Then repeat the same request with the header " +
			approvalHeader + ": " + row.ID + ".",
		Approval: viewApproval(row),
	}
}

// askedApproval is the answer 202 in place of what was asked for. Huma takes it as an error, which it is to
// every caller that expects the usual answer.
type askedApproval struct {
	Detail   string   `json:"detail" doc:"What to do next"`
	Approval Approval `json:"approval"`
}

// Error is the detail.
func (a *askedApproval) Error() string { return a.Detail }

// GetStatus is 202.
func (*askedApproval) GetStatus() int { return http.StatusAccepted }

// GetHeaders name the approval.
func (a *askedApproval) GetHeaders() http.Header {
	header := make(http.Header)
	header.Set(approvalHeader, a.Approval.ID)
	header.Set("Location", approvalsPath+"/"+a.Approval.ID)
	return header
}

// documentApproval says in the document of an operation that it may ask for an approval.
func documentApproval(s *server, op huma.Operation) huma.Operation {
	registry := s.api.OpenAPI().Components.Schemas
	answer := registry.Schema(reflectAsked, true, "")
	if op.Responses == nil {
		op.Responses = make(map[string]*huma.Response)
	}
	op.Description += "\n\nWhere a setting `approvals.*` asks for it, another person must approve it first: the answer is 202 with the header `" +
		approvalHeader + "` and the request for approval, and nothing is done."
	if op.DefaultStatus != http.StatusAccepted {
		op.Responses["202"] = &huma.Response{
			Description: "It needs an approval", Content: map[string]*huma.MediaType{"application/json": {Schema: answer}},
			Headers: map[string]*huma.Param{approvalHeader: {Schema: &huma.Schema{Type: huma.TypeString}, Description: "Id of the approval"}},
		}
	}
	return op
}

// documentAsked says of the operations whose usual answer is 202 that the body may be a request for approval instead. They must
// have been registered: their usual answers are known by that.
func (s *server) documentAsked() {
	asked := s.api.OpenAPI().Components.Schemas.Schema(reflectAsked, true, "")
	for _, item := range s.api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Post, item.Delete} {
			if op == nil || op.DefaultStatus != http.StatusAccepted || !slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == approvalHeader }) {
				continue
			}
			answer := op.Responses["202"]
			content := *answer.Content["application/json"] // it may be shared
			content.Schema = &huma.Schema{OneOf: []*huma.Schema{content.Schema, asked}}
			answer.Content["application/json"] = &content
			if answer.Headers == nil {
				answer.Headers = make(map[string]*huma.Param)
			}
			answer.Headers[approvalHeader] = &huma.Param{Schema: &huma.Schema{Type: huma.TypeString}, Description: "Id of the approval that it needs"}
		}
	}
}
