package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

// approvalLapsed rolls a change back whose approval was given by somebody who could not give it now.
type approvalLapsed struct {
	id, decider, why string
	decidedAt        time.Time
}

func (l *approvalLapsed) Error() string {
	return "whoever approved it may not do so any more: " + l.why
}

// stillApproved asks, when an approval is used, what was asked when it was given: that is days ago perhaps, and whoever
// gave it may have been deactivated, or have lost the permission, since. Errors: approvalLapsed.
func stillApproved(ctx context.Context, q *db.Queries, id string) error {
	row, err := q.GetApproval(ctx, id)
	if err != nil {
		return err
	}
	why, err := whyLapsed(ctx, q, row)
	if err != nil || why == "" {
		return err
	}
	lapsed := &approvalLapsed{id: id, decider: row.DeciderName, why: why}
	if row.DecidedAt != nil {
		lapsed.decidedAt = *row.DecidedAt
	}
	return lapsed
}

// whyLapsed says why whoever decided could not decide now, "" where they could.
func whyLapsed(ctx context.Context, q *db.Queries, row db.Approval) (string, error) {
	if row.DecidedBy == nil {
		return "the account is gone", nil
	}
	if *row.DecidedBy == row.RequestedBy {
		return "nobody decides on their own request", nil
	}
	user, err := q.UserByID(ctx, *row.DecidedBy)
	if errors.Is(err, db.ErrNotFound) {
		return "the account is gone", nil
	}
	if err != nil {
		return "", err
	}
	if !user.IsActive {
		return "the account is deactivated", nil
	}
	names, err := q.UserPermissions(ctx, user.ID)
	if err != nil {
		return "", err
	}
	grants := auth.NewGrants(names)
	if !grants.Allows(auth.Permission(row.Permission)) {
		return "they do not hold " + row.Permission, nil
	}
	held, err := heldBy(ctx, q, user)
	if err != nil {
		return "", err
	}
	if held != nil && !held.Unlimited().Allows(auth.Permission(row.Permission)) {
		return "their " + row.Permission + " is limited to some resources", nil
	}
	return "", nil
}

// askAnother opens a request again whose approval has lapsed, so that another person can decide on it.
func (s *server) askAnother(ctx context.Context, lapsed *approvalLapsed) error {
	err := s.db.InTx(ctx, func(q *db.Queries) error {
		row, err := q.UndecideApproval(ctx, lapsed.id, lapsed.decidedAt)
		if err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "approval.lapsed", "approval", row.ID,
			map[string]any{"decider": lapsed.decider, "reason": lapsed.why, "after": viewApproval(row)}))
	})
	if err != nil && !errors.Is(err, db.ErrNotOpen) { // somebody else opened it, or it expired at this moment
		return err
	}
	return problem.New(http.StatusConflict, fmt.Sprintf(
		"%s approved this and may not do so any more: %s. Nothing was done; another person must approve it, then repeat the request.", lapsed.decider, lapsed.why))
}
