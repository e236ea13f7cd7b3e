package process

import (
	"context"
	"os"
	"os/user"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

// ResetPassword gives the user with this email a new password, without the API and past its rules: whoever
// can reach the database may. Errors: domain.Invalid for a password that the policy refuses, db.ErrNotFound.
func ResetPassword(ctx context.Context, url, email, password string, revokeTokens bool) (db.ResetOutcome, error) {
	if err := auth.CheckPassword("password", password).OrNil(); err != nil {
		return db.ResetOutcome{}, err
	}
	passwords, err := auth.NewPasswords()
	if err != nil {
		return db.ResetOutcome{}, err
	}
	hash, err := passwords.Hash(ctx, password)
	if err != nil {
		return db.ResetOutcome{}, err
	}
	return db.ResetPassword(ctx, url, db.PasswordReset{Email: email, PasswordHash: hash, RevokeTokens: revokeTokens, Actor: operator()})
}

// operator names who runs this process, for the audit trail.
func operator() string {
	name := "command line"
	if who, err := user.Current(); err == nil {
		name += " of " + who.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += " on " + host
	}
	return name
}
