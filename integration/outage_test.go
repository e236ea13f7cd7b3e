package integration

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/worker"
)

// outage is how long a server may be away without failing a backup.
const outage = 30 * time.Second

// remoteTypes are those whose servers may go away: one of each backend.
var remoteTypes = []domain.StorageLocationType{domain.StorageS3, domain.StorageSSH}

// interrupted is a backup whose server was stopped in the middle of its uploads. It has a worker of its
// own, so that who waits here keeps nobody waiting there; wait is how long its calls wait for the
// server, 0 as long as the product's.
func interrupted(t *testing.T, kind domain.StorageLocationType, wait time.Duration, prepare func(*setup)) (*setup, client.Execution) {
	t.Helper()
	pool := strings.ReplaceAll(unique(t), "_", "-")
	s := newSetup(t, withNoise(60), withRows(500), withPool(pool), withStorage(newPlace(t, kind)))
	impatient := tuning()
	impatient.Patience = wait
	stop, err := shared.startWorker(worker.Options{Pools: []string{pool}, Tuning: impatient})
	require.NoError(t, err)
	t.Cleanup(stop)
	if prepare != nil {
		prepare(s)
	}
	running := s.start(t)
	dump := freezeDump(t, s.database, func() bool { return s.chunkRows(t, running) > 0 })
	s.place.stop()
	require.NoError(t, syscall.Kill(dump, syscall.SIGCONT))
	return s, running
}

func TestABackupOutlivesAServerThatIsAwayForHalfAMinute(t *testing.T) {
	for _, kind := range remoteTypes {
		t.Run(string(kind), func(t *testing.T) {
			s, running := interrupted(t, kind, 0, nil)
			time.Sleep(outage) // what this is about
			now, err := shared.owner.GetExecution(t.Context(), running.ID)
			require.NoError(t, err)
			require.Equal(t, domain.Running, now.Status, now.ErrorMessage)
			require.NoError(t, s.place.restart())

			backup := wait(t, running)
			require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
			require.True(t, backup.Metadata.Verification.OK)
			require.Equal(t, int32(1), s.attempts(t, backup, "Dump"), "the dump went on where it was")
			require.Len(t, s.chunks(t), s.chunkRows(t, backup))
			s.requireRestores(t, backup, s.database, "_copy")
		})
	}
}

func TestABackupGoesElsewhereWhenTheServerIsGoneForGood(t *testing.T) {
	for _, kind := range remoteTypes {
		t.Run(string(kind), func(t *testing.T) {
			var second client.StorageLocation
			s, running := interrupted(t, kind, time.Second, func(s *setup) {
				second = s.secondAt(t, domain.StrategyFallback, newPlace(t, domain.StorageLocal))
			})
			backup := wait(t, running)
			require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
			require.Equal(t, second.ID, *backup.StorageLocationID)
			require.Equal(t, map[string]string{s.storage.ID: "failed: Unreachable", second.ID: "completed"}, s.results(backup))
			warning := backup.Metadata.Warnings[len(backup.Metadata.Warnings)-1]
			require.Contains(t, warning, s.storageName)
			require.Contains(t, warning, s.place.address)
			s.requireRestores(t, backup, s.database, "_copy")
		})
	}
}

func TestABackupWhoseServerIsGoneForGoodFailsAndNamesIt(t *testing.T) {
	for _, kind := range remoteTypes {
		t.Run(string(kind), func(t *testing.T) {
			s, running := interrupted(t, kind, time.Second, nil)
			failed := wait(t, running)
			require.Equal(t, domain.Failed, failed.Status)
			require.Equal(t, "Unreachable", failed.Metadata.FailureClass)
			require.Contains(t, failed.ErrorMessage, s.storageName)
			require.Contains(t, failed.ErrorMessage, s.place.address)
			require.Contains(t, failed.Metadata.Hint, "Check that")
			check, err := shared.owner.TestStorageLocation(t.Context(), s.storage.ID)
			require.NoError(t, err)
			require.Equal(t, domain.HealthUnreachable, check.Status, check.Message)
			require.Contains(t, check.Message, s.storageName)

			require.NoError(t, s.place.restart())
			again := s.backUp(t)
			require.Equal(t, domain.Completed, again.Status, again.ErrorMessage)
			s.requireRestores(t, again, s.database, "_copy")
		})
	}
}
