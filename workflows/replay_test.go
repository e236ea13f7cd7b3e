package workflows_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/workflows"
)

// Histories that real runs recorded must replay with today's code: a run that is under way during
// an upgrade goes on. integration/replay_test.go records them (-record).
func TestRecordedHistoriesReplay(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "replay", "*.json"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 23, "recorded histories are missing")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			replayer := worker.NewWorkflowReplayer()
			contract.Backup.Register(replayer, workflows.Backup)
			contract.Restore.Register(replayer, workflows.Restore)
			contract.CleanRestore.Register(replayer, workflows.CleanRestore)
			contract.CheckDatasource.Register(replayer, workflows.CheckDatasource)
			contract.CheckStorage.Register(replayer, workflows.CheckStorage)
			contract.ListFiles.Register(replayer, workflows.ListFiles)
			contract.CopyFile.Register(replayer, workflows.CopyFile)
			contract.DeleteFiles.Register(replayer, workflows.DeleteFiles)
			contract.MeasureStorage.Register(replayer, workflows.MeasureStorage)
			contract.CheckStorageDraft.Register(replayer, workflows.CheckStorageDraft)
			contract.OpenTransfer.Register(replayer, workflows.OpenTransfer)
			contract.DeleteBackup.Register(replayer, workflows.DeleteBackup)
			contract.Reconcile.Register(replayer, workflows.Reconcile)
			contract.ApplyRetention.Register(replayer, workflows.ApplyRetention)
			contract.CheckHealth.Register(replayer, workflows.CheckHealth)
			contract.VerifyBackup.Register(replayer, workflows.VerifyBackup)
			contract.ScrubStorage.Register(replayer, workflows.ScrubStorage)
			contract.ImportStorage.Register(replayer, workflows.ImportStorage)
			contract.Replicate.Register(replayer, workflows.Replicate)
			contract.Sync.Register(replayer, workflows.Sync)
			contract.RestoreDrill.Register(replayer, workflows.RestoreDrill)
			contract.Upkeep.Register(replayer, workflows.Upkeep)
			contract.Notify.Register(replayer, workflows.Notify)
			contract.PingHeartbeat.Register(replayer, workflows.PingHeartbeat)
			contract.TestChannel.Register(replayer, workflows.TestChannel)
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(nil, file))
		})
	}
}
