package activities_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

var quickly = domain.BackupOptions{BackupType: domain.Full, Verify: domain.VerifyQuick}

func TestAQuickCheckIsRecordedByTheDumpItself(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 4*mib)
	began := false
	s.onSeen("dump.verified", func() { began = true })
	e := s.backup(quickly)
	require.Equal(t, domain.Completed, e.Status, "%s %s", e.ErrorMessage, logged(e))
	require.True(t, began)
	manifest := s.requireGood(e)
	v := e.Metadata.Verification
	require.NotNil(t, v)
	require.True(t, v.OK)
	require.Equal(t, domain.VerifyQuick, v.Mode)
	require.EqualValues(t, len(manifest.Objects), v.Objects)
	require.Equal(t, manifest.StoredBytes(), v.Bytes)
	require.Equal(t, 1, strings.Count(logged(e), "verified (quick)"))
}

// TestWhatIsLostBeforeTheQuickCheckFailsTheBackup: the dump's own check leaves damage to Verify, which records it.
func TestWhatIsLostBeforeTheQuickCheckFailsTheBackup(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 4*mib)
	s.onSeen("dump.rows_recorded", func() {
		for key := range s.contents() {
			if strings.Contains(key, "/chunks/") {
				require.NoError(t, s.store.Delete(t.Context(), key))
				return
			}
		}
	})
	e := s.backup(quickly)
	require.Equal(t, domain.Failed, e.Status)
	require.Equal(t, string(failure.Corrupt), e.Metadata.FailureClass)
	require.NotNil(t, e.Metadata.Verification)
	require.False(t, e.Metadata.Verification.OK)
}
