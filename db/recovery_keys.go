package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
)

// AgeRecipient is a key besides the installation's own that new backups are encrypted to.
type AgeRecipient struct {
	ID        string
	Recipient string // age1…, or an SSH public key
	Name      string // whose it is, for people
	CreatedAt time.Time
}

// OldIdentity is a key that opens backups of an installation before this one.
type OldIdentity struct {
	ID        string
	Public    string // its recipient
	Secret    string // the identity itself, opened
	Name      string
	CreatedAt time.Time
}

func oldIdentitySecret(id string) place {
	return place{table: "age_identities", rowID: id, field: "secret"}
}

// ListAgeRecipients reads all additional recipients, oldest first.
func (q *Queries) ListAgeRecipients(ctx context.Context) ([]AgeRecipient, error) {
	rows, err := q.q.ListAgeRecipients(ctx)
	if err != nil {
		return nil, translate("list the age recipients", err)
	}
	return convert(rows, func(row dbgen.AgeRecipient) (AgeRecipient, error) { return AgeRecipient(row), nil })
}

// AddAgeRecipient stores a recipient; ID and CreatedAt are made up. Backups that exist are not
// encrypted anew. Errors: DuplicateError, also for the installation's own.
func (q *Queries) AddAgeRecipient(ctx context.Context, r AgeRecipient) (AgeRecipient, error) {
	const op = "add an age recipient"
	_, own, err := q.AgeIdentity(ctx)
	if err != nil {
		return AgeRecipient{}, err
	}
	if r.Recipient == own {
		return AgeRecipient{}, &DuplicateError{Field: "recipient"}
	}
	if r.ID, err = newID(); err != nil {
		return AgeRecipient{}, err
	}
	r.CreatedAt, err = q.q.AddAgeRecipient(ctx, dbgen.AddAgeRecipientParams{ID: r.ID, Recipient: r.Recipient, Name: r.Name})
	return r, translate(op, err)
}

// DeleteAgeRecipient removes a recipient from what new backups are encrypted to, and returns it.
// Errors: ErrNotFound.
func (q *Queries) DeleteAgeRecipient(ctx context.Context, id string) (recipient string, err error) {
	op := "remove age recipient " + id
	if err := checkID(op, id); err != nil {
		return "", err
	}
	recipient, err = q.q.DeleteAgeRecipient(ctx, id)
	return recipient, translate(op, err)
}

// ListOldIdentities reads and opens the identities of installations before this one.
func (q *Queries) ListOldIdentities(ctx context.Context) ([]OldIdentity, error) {
	rows, err := q.q.ListAgeIdentities(ctx)
	if err != nil {
		return nil, translate("list the age identities", err)
	}
	return convert(rows, func(row dbgen.AgeIdentity) (OldIdentity, error) {
		secret, err := q.sealer.open(oldIdentitySecret(row.ID), row.Secret)
		return OldIdentity{ID: row.ID, Public: row.Public, Secret: secret, Name: row.Name, CreatedAt: row.CreatedAt}, err
	})
}

// ImportIdentity stores an identity of an installation before this one, sealed, and reports whether
// it is new: one that is known, or is the installation's own, stays as it is.
func (q *Queries) ImportIdentity(ctx context.Context, i OldIdentity) (added bool, err error) {
	const op = "import an age identity"
	_, own, err := q.AgeIdentity(ctx)
	if err != nil || i.Public == own {
		return false, err
	}
	id, err := newID()
	if err != nil {
		return false, err
	}
	sealed, err := q.sealer.seal(oldIdentitySecret(id), i.Secret)
	if err != nil {
		return false, err
	}
	err = q.inSealingTx(ctx, func(q *Queries) error {
		n, err := q.q.ImportAgeIdentity(ctx, dbgen.ImportAgeIdentityParams{ID: id, Public: i.Public, Secret: sealed, Name: i.Name})
		added = n > 0
		return translate(op, err)
	})
	return added, err
}

// DeleteOldIdentity forgets an identity and returns its recipient: what only it opens can not be read
// here any more. Errors: ErrNotFound.
func (q *Queries) DeleteOldIdentity(ctx context.Context, id string) (public string, err error) {
	op := "forget age identity " + id
	if err := checkID(op, id); err != nil {
		return "", err
	}
	public, err = q.q.DeleteAgeIdentity(ctx, id)
	return public, translate(op, err)
}
