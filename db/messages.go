package db

import (
	"context"
	"encoding/json"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// TransferKeyBytes is the length of a transfer key.
const TransferKeyBytes = 32

// TransferKey is what the API and the workers of an installation have in common for the transfer of
// bytes between them, derived from the master key for that alone.
func (q *Queries) TransferKey() [TransferKeyBytes]byte { return q.sealer.transfer }

// draftLife is how long a sealed draft can be opened: longer than its test may wait for a worker. Only
// tests change it.
var draftLife = 10 * time.Minute

// StorageDraft is the configuration of a storage location that is not saved.
type StorageDraft struct {
	Type   domain.StorageLocationType `json:"type"`
	Config domain.StorageConfig       `json:"config"`
}

type sealedDraft struct {
	Draft   StorageDraft `json:"draft"`
	Expires time.Time    `json:"expires"`
}

func draftPlace(id string) place {
	return place{table: "storage_location_drafts", rowID: id, field: "draft"}
}

// SealStorageDraft seals a whole draft, secrets and all, under the master key, so that it may pass
// through others' hands to a worker: it opens only under the same id, and not for long.
func (q *Queries) SealStorageDraft(ctx context.Context, id string, draft StorageDraft) (string, error) {
	text, err := json.Marshal(sealedDraft{Draft: draft, Expires: time.Now().Add(draftLife)})
	if err != nil {
		return "", failure.Wrap(failure.Unknown, "seal a storage location's draft", err, "")
	}
	var sealed string
	err = q.inSealingTx(ctx, func(q *Queries) error {
		sealed, err = q.sealer.seal(draftPlace(id), string(text))
		return err
	})
	return sealed, err
}

// OpenStorageDraft opens what SealStorageDraft sealed. Errors: ErrWrongMasterKey, of class Corrupt,
// or of class Timeout for one that is too old.
func (q *Queries) OpenStorageDraft(id, sealed string) (StorageDraft, error) {
	const op = "open a storage location's draft"
	text, err := q.sealer.open(draftPlace(id), sealed)
	if err != nil {
		return StorageDraft{}, err
	}
	var found sealedDraft
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		// The decoder's own words may hold a part of the text.
		return StorageDraft{}, failure.New(failure.Corrupt, op, "it is not a draft", "")
	}
	if time.Now().After(found.Expires) {
		return StorageDraft{}, failure.New(failure.Timeout, op, "it waited too long", "Run the test again.")
	}
	return found.Draft, nil
}
