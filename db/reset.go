package db

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// PasswordReset is a new password for a user who lost theirs, set by whoever has the database.
type PasswordReset struct {
	Email        string
	PasswordHash string // argon2id
	RevokeTokens bool   // the user's API tokens too
	Actor        string // for the audit trail, for example "command line of root on host"
}

// ResetOutcome is what a reset did.
type ResetOutcome struct {
	User          User
	SessionsEnded int64
	TokensRevoked int64
	Unlinked      bool // it was the account of somebody whom an OpenID Connect provider knows, and is not any more
}

// ResetPassword sets a user's password, ends their sessions and audits that, in one transaction. An account has
// a password or a provider that speaks for it, never both: the provider signs nobody in to it from then on. It needs
// no master key: no secret of the catalogue is read. Errors: ErrNotFound for an email of no user,
// ErrSchemaOlder, ErrSchemaNewer.
func ResetPassword(ctx context.Context, url string, reset PasswordReset) (out ResetOutcome, err error) {
	const op = "reset the password"
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return out, translate(op, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := checkSchema(ctx, conn); err != nil {
		return out, err
	}
	err = newQueries(onConn{conn}, sealer{}).inTx(ctx, func(q *Queries) error {
		out, err = q.resetPassword(ctx, reset)
		return err
	})
	return out, err
}

func (q *Queries) resetPassword(ctx context.Context, reset PasswordReset) (out ResetOutcome, err error) {
	if err = q.LockAccess(ctx); err != nil {
		return out, err
	}
	out.User, err = q.UserByEmail(ctx, reset.Email)
	if errors.Is(err, ErrNotFound) {
		return out, failure.Wrap(failure.NotFound, "find the user", fmt.Errorf("%w: no user has the email %q", ErrNotFound, reset.Email), "Give the email that the user signs in with.")
	}
	if err != nil {
		return out, err
	}
	if err = q.SetPassword(ctx, out.User.ID, reset.PasswordHash, nil); err != nil {
		return out, err
	}
	unlinked, err := q.q.UnlinkUser(ctx, out.User.ID)
	if err != nil {
		return out, translate("unlink user "+out.User.ID, err)
	}
	out.Unlinked = unlinked > 0
	if out.SessionsEnded, err = q.DeleteSessions(ctx, out.User.ID, ""); err != nil {
		return out, err
	}
	if reset.RevokeTokens {
		if out.TokensRevoked, err = q.DeleteAPITokens(ctx, out.User.ID); err != nil {
			return out, err
		}
	}
	return out, q.AddAudit(ctx, AuditEntry{
		ActorName: reset.Actor, Action: "user.password_reset", Resource: "user", ResourceID: out.User.ID,
		Changes: map[string]any{"sessions_ended": out.SessionsEnded, "tokens_revoked": out.TokensRevoked, "unlinked": out.Unlinked},
	})
}
