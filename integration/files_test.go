package integration

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// filesSetup is one test's own tree, with a job that backs it up.
type filesSetup struct {
	place, tree string
	datasource  client.Datasource
	job         client.BackupJob
}

func newFilesSetup(t *testing.T, config domain.ConnectionConfig) *filesSetup {
	t.Helper()
	t.Parallel()
	s := &filesSetup{place: t.TempDir()}
	s.tree = filepath.Join(s.place, "tree")
	config.SourcePath = s.tree
	makeTree(t, s.tree)
	name := unique(t)
	var err error
	s.datasource, err = shared.owner.Datasources.Create(t.Context(), client.DatasourceDocument{
		Name: name, Type: domain.Files, Pool: domain.DefaultPool, ConnectionConfig: config,
	})
	require.NoError(t, err)
	storage, err := shared.owner.StorageLocations.Create(t.Context(), client.StorageLocationDocument{
		Name: name, Type: domain.StorageLocal, Pool: domain.DefaultPool, Config: domain.StorageConfig{Path: filepath.Join(s.place, "backups")},
	})
	require.NoError(t, err)
	s.job, err = shared.owner.BackupJobs.Create(t.Context(), client.BackupJobDocument{
		RetentionPolicy: keepEverything, Name: name, DatasourceID: s.datasource.ID, StorageLocationID: storage.ID,
		BackupOptions: domain.BackupOptions{BackupType: domain.Incremental, Verify: domain.VerifyFull},
	})
	require.NoError(t, err)
	return s
}

// makeTree has an entry of every sort, and some MiB that do not compress.
func makeTree(t *testing.T, tree string) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	for i := range 200 {
		data := make([]byte, 20_000+i*100)
		_, _ = random.Read(data)
		putFile(t, tree, fmt.Sprintf("data/%02d/%03d.bin", i%9, i), string(data))
	}
	putFile(t, tree, "empty", "")
	putFile(t, tree, "caf\xe9", "a name that is not UTF-8")
	require.NoError(t, os.Symlink("data/00/000.bin", filepath.Join(tree, "link")))
	require.NoError(t, os.Link(filepath.Join(tree, "data/01/001.bin"), filepath.Join(tree, "hard")))
	require.NoError(t, unix.Setxattr(filepath.Join(tree, "empty"), "user.note", []byte("kept\x00\x01=\n"), 0))
	require.NoError(t, unix.Setxattr(filepath.Join(tree, "data"), "user.of a directory", []byte("too"), 0))
	require.NoError(t, unix.Setxattr(filepath.Join(tree, "data/02/002.bin"), "system.posix_acl_access", accessList(1234), 0))
	require.NoError(t, unix.Setxattr(filepath.Join(tree, "data/05"), "system.posix_acl_default", accessList(4321), 0))
	sparse, err := os.Create(filepath.Join(tree, "sparse"))
	require.NoError(t, err)
	require.NoError(t, sparse.Truncate(64<<20))
	_, err = sparse.WriteAt([]byte("in the middle of a hole"), 40<<20)
	require.NoError(t, err)
	require.NoError(t, sparse.Close())
	old := time.Unix(1_500_000_000, 123_456_789)
	require.NoError(t, os.Chtimes(filepath.Join(tree, "empty"), old, old))
}

// accessList is a POSIX access control list as Linux keeps it, with a user of its own beside owner and group.
func accessList(user uint32) []byte {
	const nobody = 0xffffffff
	list := binary.LittleEndian.AppendUint32(nil, 2) // its version
	for _, entry := range []struct {
		tag, permissions uint16
		id               uint32
	}{{0x01, 6, nobody}, {0x02, 6, user}, {0x04, 4, nobody}, {0x10, 6, nobody}, {0x20, 0, nobody}} {
		list = binary.LittleEndian.AppendUint16(list, entry.tag)
		list = binary.LittleEndian.AppendUint16(list, entry.permissions)
		list = binary.LittleEndian.AppendUint32(list, entry.id)
	}
	return list
}

func putFile(t *testing.T, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))     //nolint:gosec // a tree to back up
	require.NoError(t, os.WriteFile(path, []byte(content), 0o640)) //nolint:gosec // as above
}

// describeTree is all that a restore has to bring back, a line an entry.
func describeTree(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		require.NoError(t, err)
		var st unix.Stat_t
		require.NoError(t, unix.Lstat(path, &st))
		content := ""
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			data, err := os.ReadFile(path) //nolint:gosec // a test's own
			require.NoError(t, err)
			content = fmt.Sprintf("%x", sha256.Sum256(data))
			if st.Blocks*512 < st.Size/2 {
				content += " with holes"
			}
		case unix.S_IFLNK:
			content, err = os.Readlink(path)
			require.NoError(t, err)
		}
		relative, err := filepath.Rel(root, path)
		require.NoError(t, err)
		all[relative] = fmt.Sprintf("%o %d:%d %d %d %s", st.Mode, st.Uid, st.Gid, st.Mtim.Nano(), st.Nlink, content) + attributes(t, path)
		return nil
	}))
	return all
}

// attributes are the extended attributes of an entry; access control lists are among them.
func attributes(t *testing.T, path string) string {
	t.Helper()
	names := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, names)
	require.NoError(t, err)
	var all []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if name == "" || name == "user.dataguardian.restore" { // says of a restored directory which restore it came from
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		require.NoError(t, err)
		all = append(all, fmt.Sprintf(" %s=%q", name, value[:n]))
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// run makes a backup and wants a good one of the type.
func (s *filesSetup) run(t *testing.T, kind domain.BackupType) client.Execution {
	t.Helper()
	time.Sleep(30 * time.Millisecond) // the clock of the file system ticks: a change in the same tick is read twice
	e, err := shared.owner.RunJob(t.Context(), s.job.ID, &domain.BackupOptions{BackupType: kind})
	require.NoError(t, err)
	ended := wait(t, e)
	require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
	require.Equal(t, kind, ended.BackupType, ended.Metadata.FullReason)
	require.True(t, ended.Metadata.Verification.OK)
	return ended
}

// restoreInto restores a backup into the directory of a datasource of its own.
func (s *filesSetup) restoreInto(t *testing.T, e client.Execution, target string, drop bool) client.Execution {
	t.Helper()
	into, err := shared.owner.Datasources.Create(t.Context(), client.DatasourceDocument{
		Name: unique(t) + filepath.Base(target) + e.ID, Type: domain.Files, Pool: domain.DefaultPool,
		ConnectionConfig: domain.ConnectionConfig{SourcePath: target},
	})
	require.NoError(t, err)
	queued, err := shared.owner.Restore(t.Context(), e.ID, client.RestoreRequest{
		TargetDatasourceID: into.ID, DropExisting: drop, ConfirmationPhrase: client.ConfirmRestore(into.Name),
	})
	require.NoError(t, err)
	return wait(t, queued)
}

func TestAFullAnIncrementAndADifferentialOfFilesEachRestore(t *testing.T) {
	s := newFilesSetup(t, domain.ConnectionConfig{ExcludePatterns: []string{"*.tmp"}})
	putFile(t, s.tree, "not/wanted.tmp", "x")
	full := s.run(t, domain.Full)
	require.NoError(t, os.Remove(filepath.Join(s.tree, "not/wanted.tmp")))
	require.NoError(t, os.Remove(filepath.Join(s.tree, "not")))
	asOfFull := describeTree(t, s.tree)
	for name, holds := range map[string]string{
		"sparse": "with holes", "empty": "user.note", "data": "user.of a directory", "data/02/002.bin": "system.posix_acl_access", "data/05": "system.posix_acl_default",
	} {
		require.Contains(t, asOfFull[name], holds, "the file system of the tests has to have it")
	}

	same := s.run(t, domain.Incremental)
	require.Less(t, same.CompressedSizeBytes, int64(64<<10), "what did not change is neither read nor stored")
	require.Equal(t, full.ID, *same.ParentExecutionID)

	putFile(t, s.tree, "data/03/003.bin", "changed")
	putFile(t, s.tree, "added", "new")
	require.NoError(t, unix.Setxattr(filepath.Join(s.tree, "data/06/006.bin"), "user.since", []byte("then"), 0))
	require.NoError(t, unix.Removexattr(filepath.Join(s.tree, "data/02/002.bin"), "system.posix_acl_access"))
	require.NoError(t, os.Remove(filepath.Join(s.tree, "data/04/004.bin")))
	increment := s.run(t, domain.Incremental)
	asOfIncrement := describeTree(t, s.tree)
	require.Less(t, increment.CompressedSizeBytes, full.CompressedSizeBytes/2)

	require.NoError(t, os.Chmod(filepath.Join(s.tree, "added"), 0o600))
	require.NoError(t, unix.Setxattr(filepath.Join(s.tree, "added"), "system.posix_acl_access", accessList(77), 0))
	differential := s.run(t, domain.Differential)
	asOfDifferential := describeTree(t, s.tree)

	for name, c := range map[string]struct {
		backup client.Execution
		want   map[string]string
	}{"full": {full, asOfFull}, "increment": {increment, asOfIncrement}, "differential": {differential, asOfDifferential}} {
		target := filepath.Join(s.place, name)
		restored := s.restoreInto(t, c.backup, target, false)
		require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
		got := describeTree(t, target)
		if name == "full" { // it was made while the excluded file's directory was there
			delete(got, "not")
			got["."], c.want["."] = "", ""
		}
		require.Equal(t, c.want, got, name)
	}

	refused := s.restoreInto(t, full, filepath.Join(s.place, "increment"), false)
	require.Equal(t, domain.Failed, refused.Status)
	require.Contains(t, refused.ErrorMessage+refused.Metadata.Hint, "drop_existing")
	require.Equal(t, asOfIncrement, describeTree(t, filepath.Join(s.place, "increment")))

	replaced := s.restoreInto(t, differential, filepath.Join(s.place, "increment"), true)
	require.Equal(t, domain.Completed, replaced.Status, replaced.ErrorMessage)
	require.Equal(t, asOfDifferential, describeTree(t, filepath.Join(s.place, "increment")))

	// A name that is not UTF-8 is chosen as the list of files spells it.
	queued, err := shared.owner.Restore(t.Context(), differential.ID, client.RestoreRequest{
		TargetDatasourceID: s.datasource.ID, TargetDatabase: filepath.Join(s.place, "chosen"), IncludePaths: []string{`caf\xe9`},
		ConfirmationPhrase: client.ConfirmRestore(s.datasource.Name),
	})
	require.NoError(t, err)
	chosen := wait(t, queued)
	require.Equal(t, domain.Completed, chosen.Status, chosen.ErrorMessage)
	require.FileExists(t, filepath.Join(s.place, "chosen", "caf\xe9"))

	// The backups that it builds on go; it stays whole.
	for _, parent := range []client.Execution{increment, same} {
		_, err := shared.owner.DeleteExecution(t.Context(), parent.ID)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, err := shared.owner.GetExecution(t.Context(), parent.ID)
			return err != nil
		}, patience, 100*time.Millisecond)
	}
	s.requireRebuiltByHand(t, differential, asOfDifferential)
	left, err := filepath.Glob(filepath.Join(s.place, ".dataguardian-restore-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// requireRebuiltByHand extracts the plain dump with GNU tar: what docs/format.md promises.
func (s *filesSetup) requireRebuiltByHand(t *testing.T, e client.Execution, want map[string]string) {
	t.Helper()
	to := filepath.Join(s.place, "by-hand")
	require.NoError(t, os.Mkdir(to, 0o700))
	identity, _, err := shared.db.AgeIdentity(t.Context())
	require.NoError(t, err)
	identityFile := filepath.Join(s.place, "identity.txt")
	require.NoError(t, os.WriteFile(identityFile, []byte(identity+"\n"), 0o600))
	page, err := os.ReadFile(filepath.Join("..", "docs", "format.md"))
	require.NoError(t, err)
	script := filepath.Join(s.place, "rebuild.sh")
	for block := range strings.SplitSeq(string(page), "```") {
		if text, is := strings.CutPrefix(block, "bash\n"); is && strings.Contains(text, "# usage: rebuild.sh ") {
			require.NoError(t, os.WriteFile(script, []byte(text), 0o600))
		}
	}
	backups := filepath.Join(s.place, "backups")
	command := exec.CommandContext(t.Context(), "bash", "-c", "set -o pipefail; bash $0 $1 $2 $3 files.tar | tar --extract --preserve-permissions --numeric-owner --xattrs --xattrs-include='*' --directory $4", //nolint:gosec // a test's own
		script, backups, filepath.Join(backups, e.Metadata.ManifestPath), identityFile, to)
	output, err := command.CombinedOutput()
	require.NoError(t, err, string(output))
	require.Equal(t, want, describeTree(t, to))
}

func TestAVerificationRestoreOfFilesLeavesNothingBehind(t *testing.T) {
	s := newFilesSetup(t, domain.ConnectionConfig{})
	full := s.run(t, domain.Full)
	queued, err := shared.owner.Restore(t.Context(), full.ID, client.RestoreRequest{
		TargetDatasourceID: s.datasource.ID, VerificationMode: true, ConfirmationPhrase: "VERIFY RESTORE",
	})
	require.NoError(t, err)
	verified := wait(t, queued)
	require.Equal(t, domain.Completed, verified.Status, verified.ErrorMessage)
	require.Greater(t, verified.Metadata.RestoreReport.Tables, 200)
	left, err := filepath.Glob(filepath.Join(os.TempDir(), ".dataguardian-restore-*"))
	require.NoError(t, err)
	for _, path := range left {
		require.NotContains(t, path, verified.ID[len(verified.ID)-8:])
	}
}
