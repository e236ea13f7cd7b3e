package integration

import (
	"bytes"
	"fmt"
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

// The scripts in docs/format.md and pg_restore bring a backup back, the usual one and one by several jobs.
func TestTheShellAndPgRestoreBringABackupBack(t *testing.T) {
	for name, test := range map[string]struct {
		jobs    int
		streams []string // some of the backup's
		script  string   // its last argument is what pg_restore reads, or the stream to standard output
		last    string
	}{
		"the usual one":   {0, []string{"database pg_dump-custom"}, "rebuild.sh", "database"},
		"by several jobs": {2, []string{"toc.dat pg_dump-directory"}, "rebuild-directory.sh", "rebuilt"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t, withRows(60_000), withNoise(4), withOptions(domain.BackupOptions{ParallelJobs: test.jobs}))
			backup := s.backUp(t)
			require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
			dir, identityFile := documentedScripts(t)
			manifest := filepath.Join(s.storagePath, backup.Metadata.ManifestPath)
			run := func(name string, args ...string) []byte {
				t.Helper()
				var stdout, stderr bytes.Buffer
				cmd := exec.CommandContext(t.Context(), name, args...)
				cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
				require.NoError(t, cmd.Run(), stderr.String())
				return stdout.Bytes()
			}
			streams := run("jq", "-r", `.streams[] | "\(.name) \(.format)"`, manifest)
			require.Subset(t, strings.Split(string(streams), "\n"), test.streams)
			out := run("bash", test.script, s.storagePath, manifest, identityFile, test.last)
			dump := filepath.Join(dir, test.last)
			if test.jobs == 0 {
				require.NoError(t, os.WriteFile(dump, out, 0o600))
			}
			target := s.database + "_shell"
			s.createDatabase(t, target)
			args := []string{"--dbname=" + shared.postgres.DatabaseURL(target), "--exit-on-error"}
			if test.jobs > 1 {
				args = append(args, fmt.Sprintf("--jobs=%d", test.jobs))
			}
			run(filepath.Join(shared.postgres.BinDir(), "pg_restore"), append(args, dump)...)
			s.requireSame(t, s.database, target)
		})
	}
}

// documentedScripts saves the scripts of docs/format.md as a reader does, and the age identity of this platform.
func documentedScripts(t *testing.T) (dir, identityFile string) {
	t.Helper()
	dir = t.TempDir()
	identity, _, err := shared.db.AgeIdentity(t.Context())
	require.NoError(t, err)
	identityFile = filepath.Join(dir, "identity.txt")
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
	return dir, identityFile
}
