package activities_test

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
)

// watched does something before an object is put.
type watched struct {
	storage.Store
	before func(key string)
}

func (w watched) Unwrap() storage.Store { return w.Store }

func (w watched) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	w.before(key)
	return w.Store.Put(ctx, key, body, size)
}

func TestHealingDoesNotBringBackADeletedBackup(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyReplicate)
	s.source.fill(1, 2*mib)
	e := s.backup(options(domain.Full))
	require.Equal(t, []string{"/disk completed", "/second completed"}, results(e), logged(e))
	require.NoError(t, s.store.Delete(t.Context(), e.Metadata.ManifestPath))
	_, err := do(s, contract.CheckCopy, contract.CopyRef{BackupID: e.ID, StorageLocationID: s.job.StorageLocationID, Mode: domain.VerifyQuick})
	require.NoError(t, err)

	// The deletion is through with this location when the manifest is about to be written.
	s.stores["/disk"] = faulty.New(watched{s.disks["/disk"], func(key string) {
		if key == e.Metadata.ManifestPath {
			require.NoError(t, s.d.MarkDeleting(context.Background(), e.ID))
		}
	}})
	healed, err := do(s, contract.HealStorage, contract.StorageRef{StorageLocationID: s.job.StorageLocationID})
	require.NoError(t, err)
	require.Zero(t, healed.Healed, "%+v", healed)
	require.NotContains(t, s.contents(), e.Metadata.ManifestPath, "a manifest that nobody knows is a backup to an import")
	require.Contains(t, s.contentsOf(s.stores["/second"]), e.Metadata.ManifestPath, "it is the deletion's: %s", second)
}
