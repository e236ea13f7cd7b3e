package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/agekey"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// RecipientDocument is what a client writes of an additional recipient.
type RecipientDocument struct {
	Recipient string `json:"recipient" maxLength:"4096" doc:"age1… as age-keygen prints it, or the line of an ssh-ed25519 or ssh-rsa public key"`
	Name      string `json:"name,omitempty" maxLength:"200" doc:"Whose key it is"`
}

// Recipient is a key that new backups are encrypted to.
type Recipient struct {
	ID        string     `json:"id,omitempty" doc:"Absent for the installation's own, which can not be removed"`
	Recipient string     `json:"recipient"`
	Name      string     `json:"name"`
	Own       bool       `json:"own" doc:"The installation's own: its identity is in the recovery kit"`
	CreatedAt *time.Time `json:"created_at,omitempty"`
}

// IdentityDocument imports the identities of an installation before this one.
type IdentityDocument struct {
	Identity string `json:"identity" doc:"Write-only: the text of an age identity file, as the recovery kit is one, or an SSH private key without a passphrase" format:"password" maxLength:"262144"`
	Name     string `json:"name,omitempty" maxLength:"200" doc:"Where it is from"`
}

// ImportedIdentities are the identities of a file by their recipients.
type ImportedIdentities struct {
	Added []string `json:"added" nullable:"false" doc:"New here"`
	Known []string `json:"known" nullable:"false" doc:"Imported before, or the installation's own"`
}

// Identity is an imported identity as clients see it: never the secret.
type Identity struct {
	ID        string    `json:"id" format:"uuid"`
	Public    string    `json:"public" doc:"Its recipient"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

// items is a list that is short: it has no pages.
type items[T any] struct {
	Items []T `json:"items" nullable:"false"`
}

func (s *server) registerRecoveryKeys() {
	tags, recipients, identities := []string{"System"}, "/api/system/recipients", "/api/system/identities"
	read, write := requires(auth.SystemRead), requires(auth.SystemWrite)
	register(s, read, huma.Operation{
		OperationID: "list-recipients", Method: http.MethodGet, Path: recipients, Tags: tags, Summary: "List who can open new backups",
	}, s.listRecipients)
	register(s, write, huma.Operation{
		OperationID: "add-recipient", Method: http.MethodPost, Path: recipients, Tags: tags, Summary: "Let one more key open new backups",
		Description:   "New backups are encrypted to it too; those that exist are not. The next backup of every job is a full one.",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, s.addRecipient)
	register(s, write, huma.Operation{
		OperationID: "remove-recipient", Method: http.MethodDelete, Path: recipients + "/{id}", Tags: tags,
		Summary: "Encrypt new backups to this key no more", Description: "It opens the backups that exist as before.",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound},
	}, s.removeRecipient)
	register(s, read, huma.Operation{
		OperationID: "list-identities", Method: http.MethodGet, Path: identities, Tags: tags, Summary: "List the imported identities",
	}, s.listIdentities)
	register(s, write, huma.Operation{
		OperationID: "import-identity", Method: http.MethodPost, Path: identities, Tags: tags, Summary: "Import the identity of a lost installation",
		Description:   "Backups that were encrypted to it can be imported and restored here. New ones are not encrypted to it.",
		DefaultStatus: http.StatusCreated,
	}, s.importIdentity)
	register(s, write, huma.Operation{
		OperationID: "remove-identity", Method: http.MethodDelete, Path: identities + "/{id}", Tags: tags, Summary: "Forget an imported identity",
		Description: "Backups that only it opens can not be read here any more.", DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound},
	}, s.removeIdentity)
}

func (s *server) listRecipients(ctx context.Context, _ *empty) (*body[items[Recipient]], error) {
	_, own, err := s.db.AgeIdentity(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.ListAgeRecipients(ctx)
	if err != nil {
		return nil, err
	}
	out := []Recipient{{Recipient: own, Name: "this installation", Own: true}}
	for _, row := range rows {
		out = append(out, viewRecipient(row))
	}
	return &body[items[Recipient]]{items[Recipient]{out}}, nil
}

func viewRecipient(row db.AgeRecipient) Recipient {
	return Recipient{ID: row.ID, Recipient: row.Recipient, Name: row.Name, CreatedAt: &row.CreatedAt}
}

func (s *server) addRecipient(ctx context.Context, in *body[RecipientDocument]) (*body[Recipient], error) {
	parsed, err := agekey.ParseRecipient(in.Body.Recipient)
	if err != nil {
		return nil, invalidField("recipient", "%s", failure.Message(err))
	}
	row := db.AgeRecipient{Recipient: parsed.String(), Name: strings.TrimSpace(in.Body.Name)}
	err = s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if row, err = q.AddAgeRecipient(ctx, row); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "recipient.add", "recipient", row.ID, map[string]any{"after": viewRecipient(row)}))
	})
	if err != nil {
		return nil, err
	}
	return &body[Recipient]{viewRecipient(row)}, nil
}

func (s *server) removeRecipient(ctx context.Context, in *ByID) (*empty, error) {
	return nil, s.db.InTx(ctx, func(q *db.Queries) error {
		recipient, err := q.DeleteAgeRecipient(ctx, in.ID)
		if err != nil {
			return missing(err, "recipient", in.ID)
		}
		return q.AddAudit(ctx, audited(ctx, "recipient.remove", "recipient", in.ID, map[string]any{"before": map[string]any{"recipient": recipient}}))
	})
}

func (s *server) listIdentities(ctx context.Context, _ *empty) (*body[items[Identity]], error) {
	rows, err := s.db.ListOldIdentities(ctx)
	if err != nil {
		return nil, err
	}
	out := []Identity{}
	for _, row := range rows {
		out = append(out, Identity{ID: row.ID, Public: row.Public, Name: row.Name, CreatedAt: row.CreatedAt})
	}
	return &body[items[Identity]]{items[Identity]{out}}, nil
}

func (s *server) importIdentity(ctx context.Context, in *body[IdentityDocument]) (*body[ImportedIdentities], error) {
	parsed, err := agekey.ParseIdentities(strings.NewReader(in.Body.Identity))
	if err != nil {
		return nil, invalidField("identity", "%s", failure.Message(err))
	}
	result := ImportedIdentities{Added: []string{}, Known: []string{}}
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		for _, identity := range parsed {
			added, err := q.ImportIdentity(ctx, db.OldIdentity{Public: identity.Public, Secret: identity.Secret, Name: strings.TrimSpace(in.Body.Name)})
			if err != nil {
				return err
			}
			if added {
				result.Added = append(result.Added, identity.Public)
			} else {
				result.Known = append(result.Known, identity.Public)
			}
		}
		return q.AddAudit(ctx, audited(ctx, "identity.import", "identity", "", map[string]any{"added": result.Added, "known": result.Known}))
	})
	if err != nil {
		return nil, err
	}
	return &body[ImportedIdentities]{result}, nil
}

func (s *server) removeIdentity(ctx context.Context, in *ByID) (*empty, error) {
	return nil, s.db.InTx(ctx, func(q *db.Queries) error {
		public, err := q.DeleteOldIdentity(ctx, in.ID)
		if err != nil {
			return missing(err, "identity", in.ID)
		}
		return q.AddAudit(ctx, audited(ctx, "identity.remove", "identity", in.ID, map[string]any{"before": map[string]any{"public": public}}))
	})
}
