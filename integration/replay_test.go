package integration

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	historypb "go.temporal.io/api/history/v1"
	sdk "go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/worker"
)

var record = flag.Bool("record", false, "write the histories of this run to workflows/testdata/replay")

// Histories of real runs replay with the code that made them. With -record they are kept, so that
// later code is held to them too (workflows/replay_test.go). Record under a new name when a
// workflow changes; never overwrite what a released version has run.
func TestHistoriesOfRealRunsReplay(t *testing.T) {
	s := newSetup(t, withRows(200))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	target := s.database + "_copy"
	runs := map[string]*historypb.History{
		"backup-completed":     history(t, backup),
		"restore-completed":    history(t, s.restore(t, backup, restoreTo(target))),
		"restore-refused":      history(t, s.restore(t, backup, restoreTo(target))),
		"restore-verification": history(t, s.restore(t, backup, verification())),
	}

	doomed := s.backUp(t)
	s.remove(t, doomed)
	runs["delete-completed"] = historyOf(t, contract.DeleteWorkflowID(doomed.ID))
	interrupted := s.backUp(t)
	require.NoError(t, shared.db.MarkDeleting(t.Context(), interrupted.ID))
	require.Equal(t, int64(1), s.reconcile(t, false).Deletions)
	s.requireGone(t, interrupted)
	runs["reconcile-completed"] = historyOf(t, contract.ReconcileWorkflowID(s.storage.ID))

	_, err := shared.owner.ImportStorage(t.Context(), s.storage.ID, false)
	require.NoError(t, err)
	runs["import-completed"] = history(t, client.Execution{Metadata: domain.ExecutionMetadata{WorkflowID: contract.ImportWorkflowID(s.storage.ID)}})

	cancelled := s.start(t)
	_, err = shared.owner.Cancel(t.Context(), cancelled.ID)
	require.NoError(t, err)
	runs["backup-cancelled"] = history(t, wait(t, cancelled))

	s.job, err = shared.owner.BackupJobs.Update(t.Context(), s.job.ID, map[string]any{"backup_options": map[string]any{
		"hooks": map[string]any{"before": []any{map[string]any{"sql": "select 1"}}, "after_success": []any{map[string]any{"sql": "select 2"}}},
	}})
	require.NoError(t, err)
	hooked := s.backUp(t)
	require.Equal(t, domain.Completed, hooked.Status, hooked.ErrorMessage)
	require.True(t, hasActivity(history(t, hooked), contract.RunHooks.Name))
	runs["backup-hooks"] = history(t, hooked)

	require.NoError(t, os.RemoveAll(s.storagePath))
	require.NoError(t, os.WriteFile(s.storagePath, nil, 0o600), "a file where the directory was")
	failed := s.backUp(t)
	require.Equal(t, domain.Failed, failed.Status)
	runs["backup-failed"] = history(t, failed)

	s.replay(t, runs)
}

func (s *setup) replay(t *testing.T, runs map[string]*historypb.History) {
	t.Helper()
	for name, run := range runs {
		replayer := sdk.NewWorkflowReplayer()
		worker.RegisterWorkflows(replayer)
		require.NoError(t, replayer.ReplayWorkflowHistory(nil, run), name)
		if *record {
			s.keep(t, name, run)
		}
	}
}

func TestHistoriesOfRunsWithSeveralStorageLocationsReplay(t *testing.T) {
	s := newSetup(t, withRows(200))
	second := s.second(t, domain.StrategyReplicate, filepath.Join(filepath.Dir(s.storagePath), "second"))
	backup := s.backUp(t)
	require.Equal(t, map[string]string{s.storage.ID: "completed", second.ID: "completed"}, s.results(backup))
	runs := map[string]*historypb.History{
		"backup-replicated":   history(t, backup),
		"replicate-completed": historyOf(t, contract.ReplicateWorkflowID(backup.ID, second.ID)),
	}
	wipe(t, s.storagePath)
	restored := s.restore(t, backup, restoreTo(s.database+"_copy"))
	require.Equal(t, second.ID, *restored.StorageLocationID, restored.ErrorMessage)
	runs["restore-other-copy"] = history(t, restored)

	require.NoError(t, os.RemoveAll(s.storagePath))
	require.NoError(t, os.WriteFile(s.storagePath, nil, 0o600), "a file where the directory was")
	moved := s.backUp(t)
	require.Equal(t, second.ID, *moved.StorageLocationID, moved.ErrorMessage)
	runs["backup-fallback"] = history(t, moved)
	runs["replicate-failed"] = historyOf(t, contract.ReplicateWorkflowID(moved.ID, s.storage.ID))
	s.replay(t, runs)
}

var identities = regexp.MustCompile(`"identity": *"[^"]*"`)

func (s *setup) keep(t *testing.T, name string, h *historypb.History) {
	t.Helper()
	keep(t, name, h, map[string]string{s.storagePath: "/backups", filepath.Dir(s.storagePath): "/tmp"})
}

// keep writes a history without the names of this machine. paths are those of the run, by what to write for them.
func keep(t *testing.T, name string, h *historypb.History, paths map[string]string) {
	t.Helper()
	document, err := protojson.MarshalOptions{Multiline: true, Indent: " "}.Marshal(h)
	require.NoError(t, err)
	text := string(document)
	for _, machine := range slices.Backward(slices.Sorted(maps.Keys(paths))) { // a folder after what is in it
		text = strings.ReplaceAll(text, machine, paths[machine])
	}
	text = anonymous(text)
	path := filepath.Join("..", "workflows", "testdata", "replay", name+".json")
	if _, err := os.Stat(path); err == nil {
		return // what a released version has run; remove it to record it again
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))  //nolint:gosec // a folder of the repository
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644)) //nolint:gosec // a file of the repository
}
