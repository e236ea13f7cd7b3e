package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

// changeAccess runs a change of who may do what. Changes happen one after the other, and each is decided
// on what its maker may do at that moment: the request was let in earlier. None leaves the installation
// without somebody who manages access. A refusal is audited, beside the change that it undoes.
func (s *server) changeAccess(ctx context.Context, operation string, change func(q *db.Queries, actor auth.Actor) error) error {
	err := s.db.InTx(ctx, func(q *db.Queries) error {
		if err := q.LockAccess(ctx); err != nil {
			return err
		}
		actor, err := actorNow(ctx, q)
		if err != nil {
			return err
		}
		if err := change(q, actor); err != nil {
			return err
		}
		left, err := q.CountHolders(ctx, string(auth.AccessManage))
		if err != nil {
			return err
		}
		return auth.CheckManagersLeft(left)
	})
	var refusal *auth.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	status := http.StatusForbidden
	if refusal.Lockout {
		status = http.StatusConflict
	}
	return s.refuseFor(ctx, operation, refusal.Reason, status)
}

// actorNow reads what the caller may do as of now. Errors: auth.Refusal when that is not to manage access
// any more.
func actorNow(ctx context.Context, q *db.Queries) (auth.Actor, error) {
	who := principalOf(ctx)
	user, err := q.UserByID(ctx, who.User.ID)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return auth.Actor{}, err
	}
	names, err := q.UserPermissions(ctx, who.User.ID)
	if err != nil {
		return auth.Actor{}, err
	}
	grants := auth.NewGrants(names)
	held, err := heldBy(ctx, q, user)
	if err != nil {
		return auth.Actor{}, err
	}
	if held != nil {
		grants = held.Unlimited() // access.manage itself is never limited
	}
	if who.Token != nil {
		grants = grants.Intersect(auth.NewGrants(who.Token.Permissions))
	}
	if !user.IsActive || !grants.Allows(auth.AccessManage) {
		return auth.Actor{}, &auth.Refusal{Reason: "You do not manage access any more."}
	}
	return auth.Actor{ID: user.ID, Grants: grants}, nil
}

// lockCaller keeps the caller's account until the transaction of q ends. Call it before what is changed of theirs: the entry of the audit
// trail refers to the account, and who deletes that locks it before its sessions, tokens and approvals. In the other order they would wait for
// each other. Errors: 401 when the account is gone.
func lockCaller(ctx context.Context, q *db.Queries) error {
	if _, err := q.LockUser(ctx, principalOf(ctx).User.ID); err != nil {
		return orProblem(err, unauthorised(expiredSession))
	}
	return nil
}

// refuseFor refuses something to the caller, and says why; explain writes it into the audit trail.
func (s *server) refuseFor(ctx context.Context, operation, reason string, status int) error {
	return &denial{audited(ctx, actionRefused, "operation", operation, map[string]any{"reason": reason}), problem.New(status, reason)}
}

// denial is what is answered to a caller who may not do something, and what the audit trail is to say. It is written
// when the operation has ended: a transaction of its own within that of the operation would wait for a second connection,
// and some such requests at once for each other.
type denial struct {
	entry  db.AuditEntry
	answer *problem.Problem
}

func (r *denial) Error() string { return r.answer.Error() }

// Unwrap gives the answer.
func (r *denial) Unwrap() error { return r.answer }
