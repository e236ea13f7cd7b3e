package db

import (
	"context"
	"encoding/json"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// UserByIdentity finds the account of somebody whom a provider knows. Errors: ErrNotFound.
func (q *Queries) UserByIdentity(ctx context.Context, issuer, subject string) (User, error) {
	row, err := q.q.UserByIdentity(ctx, dbgen.UserByIdentityParams{Issuer: issuer, Subject: subject})
	return User(row.User), translate("read a user by identity", err)
}

// AddIdentity makes an account that of somebody whom a provider knows. Errors: DuplicateError when either is taken.
func (q *Queries) AddIdentity(ctx context.Context, userID, issuer, subject string) error {
	return translate("link user "+userID, q.q.AddIdentity(ctx, dbgen.AddIdentityParams{Issuer: issuer, Subject: subject, UserID: userID}))
}

// Linked reports whether an account is that of somebody whom a provider knows.
func (q *Queries) Linked(ctx context.Context, userID string) (bool, error) {
	linked, err := q.q.IsLinked(ctx, userID)
	return linked, translate("look up how user "+userID+" signs in", err)
}

// AddHandoff stores that whoever has the code with this SHA-256, and knows what challenge is the hash of, may sign in as
// the user until then. Those that were never fetched are removed.
func (q *Queries) AddHandoff(ctx context.Context, codeHash [32]byte, userID, challenge string, until time.Time) error {
	const op = "store a sign-in"
	if err := q.q.DeleteExpiredHandoffs(ctx); err != nil {
		return translate(op, err)
	}
	return translate(op, q.q.AddHandoff(ctx, dbgen.AddHandoffParams{CodeHash: codeHash[:], UserID: userID, Challenge: challenge, ExpiresAt: until}))
}

// HandoffOwner gives the user of a code, which stays good. Errors: ErrNotFound.
func (q *Queries) HandoffOwner(ctx context.Context, codeHash [32]byte) (userID string, err error) {
	userID, err = q.q.HandoffOwner(ctx, codeHash[:])
	return userID, translate("look up a sign-in", err)
}

// TakeHandoff gives the challenge of a code, once. Lock its owner first: whoever ends their sign-ins does. Errors: ErrNotFound.
func (q *Queries) TakeHandoff(ctx context.Context, codeHash [32]byte) (challenge string, err error) {
	challenge, err = q.q.TakeHandoff(ctx, codeHash[:])
	return challenge, translate("fetch a sign-in", err)
}

// sealedNote is a note with its end.
type sealedNote struct {
	Note    json.RawMessage `json:"note"`
	Expires time.Time       `json:"expires"`
}

func notePlace(purpose string) place { return place{table: "notes", rowID: purpose, field: "note"} }

// SealNote seals a note to ourselves under the master key, so that it may pass through a browser: nobody else reads or
// makes it, and it opens for its purpose only, until then.
func (q *Queries) SealNote(ctx context.Context, purpose string, note any, until time.Time) (string, error) {
	const op = "seal a note"
	inner, err := json.Marshal(note)
	if err != nil {
		return "", failure.Wrap(failure.Unknown, op, err, "")
	}
	text, err := json.Marshal(sealedNote{Note: inner, Expires: until})
	if err != nil {
		return "", failure.Wrap(failure.Unknown, op, err, "")
	}
	var sealed string
	err = q.inSealingTx(ctx, func(q *Queries) error {
		sealed, err = q.sealer.seal(notePlace(purpose), string(text))
		return err
	})
	return sealed, err
}

// OpenNote opens what SealNote sealed. Errors: ErrWrongMasterKey, of class Corrupt, or of class Timeout for one that is
// too old.
func (q *Queries) OpenNote(purpose, sealed string, into any) error {
	const op = "open a note"
	text, err := q.sealer.open(notePlace(purpose), sealed)
	if err != nil {
		return err
	}
	var found sealedNote
	if json.Unmarshal([]byte(text), &found) != nil || json.Unmarshal(found.Note, into) != nil {
		return failure.New(failure.Corrupt, op, "it is not a note", "") // the decoder's own words may hold a part of it
	}
	if time.Now().After(found.Expires) {
		return failure.New(failure.Timeout, op, "it is too old", "Begin again.")
	}
	return nil
}
