package activities_test

import (
	"context"
	"io"
	"strings"
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

func TestACopyTrustsNothingThatIsKnownToBeDamaged(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyReplicate)
	s.source.fill(1, 6*mib)
	full := s.backup(options(domain.Incremental))
	require.Equal(t, []string{"/disk completed", "/second completed"}, results(full), logged(full))
	rotten := s.manifestOf(full).ObjectKey(0)
	found, err := s.stores["/second"].Stat(t.Context(), rotten)
	require.NoError(t, err)
	s.put("/second", rotten, strings.Repeat("x", int(found.Size)))
	check, err := do(s, contract.CheckCopy, contract.CopyRef{BackupID: full.ID, StorageLocationID: second, Mode: domain.VerifyBytes})
	require.NoError(t, err)
	require.Equal(t, int64(1), check.Damaged)

	s.source.change("a row was changed")
	increment := s.backup(options(domain.Incremental))
	require.Equal(t, domain.Incremental, increment.BackupType)
	require.Equal(t, []string{"/disk completed", "/second completed"}, results(increment), logged(increment))
	s.requireReadsFrom(second, increment, s.source.content())
}

func TestALateCleaningUpForgetsNothingOfTheNextLocation(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyFallback)
	s.source.fill(1, mib)
	e := s.queue(s.job, options(domain.Full))
	require.NoError(t, s.d.ClaimDump(t.Context(), e.ID, 1))
	// Its worker was cut off in the middle, and the backup went on elsewhere.
	s.onSeen("discard.objects_removed", func() {
		ctx := context.Background()
		require.NoError(t, s.d.MoveBackup(ctx, e.ID, second, 5))
		require.NoError(t, s.d.ClaimDump(ctx, e.ID, 6))
		require.NoError(t, s.d.AddChunks(ctx, e.ID, []db.Chunk{{ID: [32]byte{1}, Generation: "g", PlainBytes: 1, StoredBytes: 1}}))
	})
	_, err := do(s, contract.DiscardBackup, contract.DiscardInput{ExecutionID: e.ID, Before: 5})
	require.Error(t, err)
	chunks, err := s.d.ListChunks(t.Context(), e.ID)
	require.NoError(t, err)
	require.Len(t, chunks, 1)
}
