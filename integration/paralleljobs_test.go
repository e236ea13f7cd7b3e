package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func withJobs(jobs int) func(*client.RestoreRequest) {
	return func(r *client.RestoreRequest) { r.ParallelJobs = jobs }
}

func TestABackupBySeveralJobsRestoresAndVerifies(t *testing.T) {
	s := newSetup(t, withRows(60_000), withNoise(4), withOptions(domain.BackupOptions{ParallelJobs: 3, Verify: domain.VerifyFull}))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	require.True(t, backup.Metadata.Verification.OK)
	for suffix, jobs := range map[string]int{"_default": 0, "_one": 1, "_four": 4} {
		restored := s.restore(t, backup, restoreTo(s.database+suffix), withJobs(jobs))
		require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
		s.requireSame(t, s.database, s.database+suffix)
		requireNoLeftovers(t, restored)
	}
	verified := s.restore(t, backup, verification())
	require.Equal(t, domain.Completed, verified.Status, verified.ErrorMessage)
}

func TestABackupByOneJobRestoresWithSeveral(t *testing.T) {
	s := newSetup(t, withRows(60_000), withNoise(4))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	restored := s.restore(t, backup, restoreTo(s.database+"_copy"), withJobs(4))
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	s.requireSame(t, s.database, s.database+"_copy")
	requireNoLeftovers(t, restored)
}

func TestTooManyJobsAreRefused(t *testing.T) {
	s := newSetup(t, withRows(10))
	backup := s.backUp(t)
	for _, jobs := range []int{-1, 17} {
		_, err := shared.owner.Restore(t.Context(), backup.ID, client.RestoreRequest{
			TargetDatasourceID: s.datasource.ID, ConfirmationPhrase: client.ConfirmRestore(s.datasource.Name), ParallelJobs: jobs,
		})
		require.ErrorContains(t, err, "parallel_jobs")
	}
}

// The scripts in docs/format.md and pg_restore bring a backup by several jobs back.
func TestTheShellRebuildsABackupBySeveralJobs(t *testing.T) {
	s := newSetup(t, withRows(60_000), withNoise(4), withOptions(domain.BackupOptions{ParallelJobs: 2}))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	identity, _, err := shared.db.AgeIdentity(t.Context())
	require.NoError(t, err)
	dir := t.TempDir()
	identityFile := filepath.Join(dir, "identity.txt")
	require.NoError(t, os.WriteFile(identityFile, []byte(identity+"\n"), 0o600))
	page, err := os.ReadFile(filepath.Join("..", "docs", "format.md"))
	require.NoError(t, err)
	for _, name := range []string{"rebuild.sh", "rebuild-directory.sh"} {
		for block := range strings.SplitSeq(string(page), "```") {
			if text, is := strings.CutPrefix(block, "bash\n"); is && strings.Contains(text, "# usage: "+name+" ") {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
			}
		}
	}
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	run("bash", "rebuild-directory.sh", s.storagePath, filepath.Join(s.storagePath, backup.Metadata.ManifestPath), identityFile, "rebuilt")
	target := s.database + "_shell"
	s.createDatabase(t, target)
	run(filepath.Join(shared.postgres.BinDir(), "pg_restore"), "--dbname="+shared.postgres.DatabaseURL(target), "--exit-on-error", "--jobs=2", "rebuilt")
	s.requireSame(t, s.database, target)
}
