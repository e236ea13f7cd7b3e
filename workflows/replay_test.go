package workflows_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/workflows"
)

// histories are those that earlier versions have run. One that is added needs no place here, one that is here may not go.
var histories = []string{
	"apply-retention-run", "backup-cancelled", "backup-completed", "backup-failed", "backup-fallback", "backup-hooks",
	"backup-queued", "backup-replicated", "backup-scheduled", "check-datasource-run", "check-health-run",
	"check-storage-run", "clean-restore-run", "delete-backup-run", "delete-completed", "heartbeat-sent",
	"import-completed", "import-storage-run", "list-files-run", "notify-failed", "notify-killed", "notify-sent",
	"reconcile-completed", "replicate-completed", "replicate-failed", "restore-completed", "restore-drill-run",
	"restore-other-copy", "restore-refused", "restore-verification", "scrub-damaged", "sync-run", "test-channel",
	"upkeep-run", "verify-completed", "verify-damaged", "verify-failed", "verify-healed",
}

// Histories that real runs recorded must replay with today's code: a run that is under way during
// an upgrade goes on. integration/replay_test.go records them (-record).
func TestRecordedHistoriesReplay(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "replay", "*.json"))
	require.NoError(t, err)
	for _, name := range histories {
		require.Contains(t, files, filepath.Join("testdata", "replay", name+".json"), "a recorded history is missing")
	}
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
