package activities_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
	"github.com/dataguardian/dataguardian/workflows"
)

// twoPlaces is a site with a second storage location, and the options of a job that uses both.
func twoPlaces(t *testing.T, strategy domain.StorageStrategy) (s *site, second string, options func(domain.BackupType) domain.BackupOptions) {
	t.Helper()
	s = newSite(t)
	second = s.location("/second")
	return s, second, func(k domain.BackupType) domain.BackupOptions {
		return domain.BackupOptions{
			BackupType: k, Verify: domain.VerifyFull, StorageStrategy: strategy, StorageTargets: []domain.StorageTarget{{StorageLocationID: second}},
		}
	}
}

// perform runs a workflow with the real activities.
func perform[In any](s *site, name string, run func(workflow.Context, In) error, in In) error {
	s.t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(2 * time.Minute)
	s.register(env)
	env.RegisterWorkflowWithOptions(run, workflow.RegisterOptions{Name: name})
	env.ExecuteWorkflow(name, in)
	require.True(s.t, env.IsWorkflowCompleted())
	return env.GetWorkflowError()
}

func (s *site) copyTo(e db.Execution, locationID, name string) error {
	s.t.Helper()
	return perform(s, "copy", func(ctx workflow.Context, in contract.ReplicateInput) error {
		_, err := workflows.Replicate(ctx, in)
		return err
	}, contract.ReplicateInput{ExecutionID: e.ID, Target: contract.Place{StorageID: locationID, Name: name, Pool: "default"}})
}

// verify checks a backup on a location, healing what is damaged, and reports whether it is whole.
func (s *site) verify(e db.Execution, locationID string, mode domain.VerifyMode) (result contract.VerifyBackupResult, err error) {
	s.t.Helper()
	err = perform(s, "verify", func(ctx workflow.Context, in contract.VerifyBackupInput) (err error) {
		result, err = workflows.VerifyBackup(ctx, in)
		return err
	}, contract.VerifyBackupInput{BackupID: e.ID, StorageLocationID: locationID, Mode: mode})
	return result, err
}

func (s *site) again(e db.Execution) db.Execution {
	s.t.Helper()
	read, err := s.d.GetExecution(context.Background(), e.ID)
	require.NoError(s.t, err)
	return read
}

// results are storage_results as "name status".
func results(e db.Execution) (list []string) {
	for _, r := range e.Metadata.StorageResults {
		list = append(list, r.Name+" "+string(r.Status))
	}
	return list
}

func (s *site) notifications() int {
	s.t.Helper()
	return dbtest.Count(s.t, s.url, `SELECT count(*) FROM notifications WHERE metadata -> 'trigger' IS NULL`)
}

func TestReplicatedBackupsAreOnBothLocationsAndReadFromEither(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyReplicate)
	s.source.fill(1, 20*mib)
	full := s.backup(options(domain.Incremental))
	first := s.source.content()
	s.requireGood(full)
	s.source.change("a row was changed")
	increment := s.backup(options(domain.Incremental))
	require.Equal(t, domain.Incremental, increment.BackupType, logged(increment))
	s.requireGood(increment)
	for _, e := range []db.Execution{full, increment} {
		require.Equal(t, []string{"/disk completed", "/second completed"}, results(e), logged(e))
		require.Equal(t, e.CompressedSizeBytes, e.Metadata.StorageResults[1].Bytes, "what was there is not sent again")
	}
	s.requireReadsFrom(second, full, first)
	s.requireReadsFrom(second, increment, s.source.content())
	require.Equal(t, s.contents(), withRepositoryOf(s, s.contentsOf(s.stores["/second"])), "the objects are the same")
	for key, n := range s.disks["/second"].puts {
		if !strings.HasPrefix(key, "probe/") {
			require.Equal(t, 1, n, key)
		}
	}
	require.Zero(t, s.notifications())
}

// withRepositoryOf gives a location's contents the repository document of the first, which is its own.
func withRepositoryOf(s *site, contents map[string][32]byte) map[string][32]byte {
	contents["dataguardian.json"] = s.contents()["dataguardian.json"]
	return contents
}

func TestACopyingThatDiesAtAnyPointGoesOnAndSendsNothingTwice(t *testing.T) {
	for _, boundary := range []string{
		"replicate.begun", "replicate.batch_copied", "replicate.objects_copied", "replicate.manifest_written", "replicate.recorded", "target.recorded",
	} {
		t.Run(boundary, func(t *testing.T) {
			s, second, options := twoPlaces(t, domain.StrategyReplicate)
			s.source.fill(2, 12*mib)
			s.dies[boundary] = 1
			e := s.backup(options(domain.Full))
			s.requireGood(e)
			require.Zero(t, s.dies[boundary])
			require.Equal(t, []string{"/disk completed", "/second completed"}, results(e), logged(e))
			s.requireReadsFrom(second, e, s.source.content())
			for key, n := range s.disks["/second"].puts {
				if strings.Contains(key, "/chunks/") {
					require.Equal(t, 1, n, key)
				}
			}
		})
	}
}

func TestACopyThatFailedIsToldOnceAndCanBeMadeLater(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyReplicate)
	s.source.fill(3, 12*mib)
	s.stores["/second"].Inject(faulty.Fault{Op: faulty.Put, Key: "/chunks/", From: 4, Err: storage.FullError("put object", "x", "no space")})
	e := s.backup(options(domain.Full))
	s.requireGood(e)
	require.Equal(t, []string{"/disk completed", "/second failed"}, results(e))
	failed := e.Metadata.StorageResults[1]
	require.Equal(t, string(failure.StorageFull), failed.FailureClass)
	require.Contains(t, failed.Error, `storage location "/second"`)
	require.Equal(t, storage.FullHint, failed.Hint)
	require.Contains(t, e.Metadata.Warnings, `the copy to storage location "/second" failed: `+failed.Error)
	require.Equal(t, 1, s.notifications())
	_, err := s.d.GetCopy(t.Context(), e.ID, second)
	require.ErrorIs(t, err, db.ErrNotFound, "half a copy is none")

	s.stores["/second"].Clear()
	require.NoError(t, s.copyTo(e, second, "/second"))
	require.Equal(t, []string{"/disk completed", "/second completed"}, results(s.again(e)))
	s.requireReadsFrom(second, e, s.source.content())
	require.Equal(t, 1, s.notifications())
	for key, n := range s.disks["/second"].puts {
		if strings.Contains(key, "/chunks/") {
			require.Equal(t, 1, n, "sent twice: "+key)
		}
	}
}

func TestALocationThatIsTheSamePlaceIsNoCopy(t *testing.T) {
	s, _, options := twoPlaces(t, domain.StrategyReplicate)
	s.stores["/second"] = s.store
	s.source.fill(4, 3*mib)
	e := s.backup(options(domain.Full))
	s.requireGood(e)
	require.Equal(t, []string{"/disk completed", "/second failed"}, results(e))
	require.Contains(t, e.Metadata.StorageResults[1].Error, `the same place as storage location "/disk"`)
	s.requireNothingElse(e)
}

func TestABackupIsNotDeletedWhileItIsCopied(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyReplicate)
	s.source.fill(5, 3*mib)
	s.stores["/second"].Inject(faulty.Fault{Op: faulty.Put, Key: "/chunks/", Times: 1, Err: storage.FullError("put object", "x", "no space")})
	e := s.backup(options(domain.Full))
	s.onSeen("replicate.objects_copied", func() {
		var held *db.InUseError
		require.ErrorAs(t, s.d.MarkDeleting(context.Background(), e.ID), &held)
		require.Equal(t, []string{`its copy to storage location "/second" is being made`}, held.Holders)
	})
	require.NoError(t, s.copyTo(e, second, "/second"))
	require.Positive(t, s.seen["replicate.objects_copied"])
	s.remove(e)
	s.requireNothingElse()
	s.requireNothingElseIn(s.stores["/second"])
}

func TestReplicatedBackupsAreDeletedInAnyOrderAndTheRestStaysWhole(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			s, second, options := twoPlaces(t, domain.StrategyReplicate)
			s.source.fill(6, 8*mib)
			var backups []db.Execution
			var data [][]byte
			for i := range 3 {
				s.source.change(fmt.Sprintf("row %d", i))
				backups, data = append(backups, s.backup(options(domain.Incremental))), append(data, s.source.content())
				require.Equal(t, []string{"/disk completed", "/second completed"}, results(backups[i]))
			}
			left := map[int]bool{0: true, 1: true, 2: true}
			for _, gone := range order {
				s.remove(backups[gone])
				delete(left, gone)
				var kept []db.Execution
				for i := range left {
					s.requireReads(backups[i], data[i])
					s.requireReadsFrom(second, backups[i], data[i])
					kept = append(kept, backups[i])
				}
				s.requireNothingElse(kept...)
				s.requireNothingElseIn(s.stores["/second"], kept...)
			}
		})
	}
}

func TestAFailedCopyGoesWithItsBackup(t *testing.T) {
	s, _, options := twoPlaces(t, domain.StrategyReplicate)
	s.source.fill(7, 12*mib)
	s.stores["/second"].Inject(faulty.Fault{Op: faulty.Put, Key: "manifest.json", Err: storage.FullError("put object", "x", "no space")})
	e := s.backup(options(domain.Full))
	require.Greater(t, len(s.contentsOf(s.stores["/second"])), 1)
	s.stores["/second"].Clear()
	s.remove(e)
	s.requireNothingElseIn(s.stores["/second"])
}
