package activities

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// ProbeStorageDraft writes, reads back, lists and deletes a small object on a storage location that is
// not saved, and records nothing. Its configuration comes sealed, and leaves this function only to the
// backend.
func (a *Activities) ProbeStorageDraft(ctx context.Context, in contract.StorageDraftInput) (contract.CheckResult, error) {
	draft, err := a.DB.OpenStorageDraft(in.ID, in.Sealed)
	if err != nil {
		return contract.CheckResult{}, toTemporal(ctx, err)
	}
	probing, cancel := context.WithTimeout(ctx, a.probeLimit())
	defer cancel()
	started := time.Now()
	usage, err := a.probeDraft(probing, draft)
	result := checkResult(time.Since(started), err, draft.Config.SecretValues()...)
	result.AvailableBytes = usage.Available
	if key, fingerprint, ok := storage.UnknownHostKey(err); ok {
		result.HostKey, result.HostKeyFingerprint = key, fingerprint
	}
	return result, nil
}

func (a *Activities) probeDraft(ctx context.Context, draft db.StorageDraft) (storage.Usage, error) {
	store, err := a.Open(ctx, draft.Type, draft.Config, storage.Use{Patience: probePatience})
	if err != nil {
		return unknownUsage, failure.WithSubject(err, "storage location of type "+string(draft.Type))
	}
	defer func() { _ = store.Close() }()
	return probeOpen(ctx, store)
}
