package activities_test

import (
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// forget takes a backup out of the catalogue, and leaves it on the storage.
func (s *site) forget(e db.Execution) {
	s.t.Helper()
	require.NoError(s.t, s.d.MarkDeleting(s.t.Context(), e.ID))
	require.NoError(s.t, s.d.RemoveExecution(s.t.Context(), e.ID))
}

func (s *site) imports(location string, dryRun bool) contract.ImportResult {
	s.t.Helper()
	result, err := do(s, contract.ImportBackups, contract.ImportInput{StorageLocationID: location, DryRun: dryRun})
	require.NoError(s.t, err)
	return result
}

func TestAnImportLooksForEveryObject(t *testing.T) {
	s := newSite(t)
	s.source.fill(7, 3*mib)
	whole := s.good(domain.Full)
	s.source.fill(8, 3*mib)
	broken := s.good(domain.Full)
	lost := s.requireGood(broken).ObjectKey(1)
	require.NoError(t, s.store.Delete(t.Context(), lost))
	s.forget(whole)
	s.forget(broken)

	for _, dryRun := range []bool{true, false} {
		result := s.imports(s.job.StorageLocationID, dryRun)
		require.Equal(t, []int64{2, 2, 1}, []int64{result.Found, result.Imported, result.Incomplete}, "%+v", result)
		require.Len(t, result.Messages, 1)
		require.Contains(t, result.Messages[0], lost)
	}
	verified := func(e db.Execution) domain.Verification {
		t.Helper()
		imported, err := s.d.GetExecution(t.Context(), e.ID)
		require.NoError(t, err)
		require.Equal(t, domain.Completed, imported.Status)
		require.NotNil(t, imported.Metadata.Verification)
		return *imported.Metadata.Verification
	}
	require.True(t, verified(whole).OK)
	require.Equal(t, domain.VerifyQuick, verified(whole).Mode)
	require.False(t, verified(broken).OK)
	require.Equal(t, int64(1), verified(broken).Damaged)
	damaged, err := s.d.PageDamage(t.Context(), s.job.StorageLocationID, "", 10, false)
	require.NoError(t, err)
	require.Len(t, damaged, 1)
	require.Equal(t, lost, damaged[0].Key)
}

func TestAnImportedCopyThatIsNotWholeIsKnownForIt(t *testing.T) {
	s := newSite(t)
	second := s.location("/second")
	s.source.fill(9, 3*mib)
	e := s.good(domain.Full)
	for key := range s.contents() {
		body, err := s.store.Get(t.Context(), key, 0, -1)
		require.NoError(t, err)
		content, err := io.ReadAll(body)
		require.NoError(t, errors.Join(err, body.Close()))
		s.put("/second", key, string(content))
	}
	lost := s.requireGood(e).ObjectKey(0)
	require.NoError(t, s.stores["/second"].Delete(t.Context(), lost))

	result := s.imports(second, false)
	require.Equal(t, []int64{1, 1, 1}, []int64{result.Found, result.Replicas, result.Incomplete}, "%+v", result)
	damaged, err := s.d.DamagedCopies(t.Context(), e.ID, e.Metadata.ManifestPath)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{second: 1}, damaged)
	// Healing mends it from the backup's own location.
	healed, err := do(s, contract.HealStorage, contract.StorageRef{StorageLocationID: second})
	require.NoError(t, err)
	require.Equal(t, int64(1), healed.Healed, "%+v", healed)
	s.requireReadsFrom(second, e, s.source.content())
}
