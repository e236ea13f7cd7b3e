package activities

import (
	"context"
	"strings"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/internal/agekey"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// recipients are what new backups are encrypted to: the installation's own, always, then the
// additional ones.
func (a *Activities) recipients(ctx context.Context) ([]age.Recipient, error) {
	_, own, err := a.DB.AgeIdentity(ctx)
	if err != nil {
		return nil, err
	}
	texts := []string{own}
	additional, err := a.DB.ListAgeRecipients(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range additional {
		texts = append(texts, r.Recipient)
	}
	recipients := make([]age.Recipient, len(texts))
	for i, text := range texts {
		parsed, err := agekey.ParseRecipient(text)
		if err != nil {
			return nil, failure.WithSubject(err, "age recipient "+text)
		}
		recipients[i] = parsed
	}
	return recipients, nil
}

// identities are what opens backups here: the installation's own, then those of installations before
// it that were imported.
func (a *Activities) identities(ctx context.Context) ([]age.Identity, error) {
	own, _, err := a.DB.AgeIdentity(ctx)
	if err != nil {
		return nil, err
	}
	secrets := []string{own}
	old, err := a.DB.ListOldIdentities(ctx)
	if err != nil {
		return nil, err
	}
	for _, identity := range old {
		secrets = append(secrets, identity.Secret)
	}
	var identities []age.Identity
	for _, secret := range secrets {
		parsed, err := agekey.ParseIdentities(strings.NewReader(secret))
		if err != nil {
			return nil, failure.Wrap(failure.ConfigInvalid, "read the installation's age identities", err, "")
		}
		identities = append(identities, agekey.Plain(parsed)...)
	}
	return identities, nil
}
