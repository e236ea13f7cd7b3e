package integration

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// The files of a database's rows are on another machine, whose key is pinned.
func TestFilesOfAnotherMachineAreBackedUpOverSSH(t *testing.T) {
	server, base := sshserver.Start(t, sshserver.Options{SFTPArgs: "-R"}), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(base, "a.pdf"), []byte("first"), 0o600))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(base, "out.pdf")))
	login := server.Tunnel()
	s := newSetup(t, withRows(10), withOptions(domain.BackupOptions{ReferencedFiles: &domain.ReferencedFiles{
		Enabled: true, DiscoveryQuery: "select path from documents", PathColumn: "path", BaseDirectories: []string{base},
		SourceType: domain.FilesSSH, Host: login.Host, Port: login.Port, Username: login.Username, PrivateKey: login.PrivateKey, HostKey: login.HostKey,
	}}))
	require.Equal(t, failure.Mask, s.job.BackupOptions.ReferencedFiles.PrivateKey)
	s.exec(t, s.database, "create table documents (path text)")
	s.exec(t, s.database, "insert into documents values ('a.pdf'), ('out.pdf'), ('../../etc/passwd')")
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	require.Len(t, backup.Metadata.Warnings, 2)
	require.Empty(t, backup.Metadata.Options.ReferencedFiles.PrivateKey)
	s.requireNowhere(t, backup, secretLine(login.PrivateKey))

	dir := filepath.Join(t.TempDir(), "restored")
	restored := s.restore(t, backup, restoreTo(s.database+"_copy"), into(dir))
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	content, err := os.ReadFile(filepath.Join(dir, base, "a.pdf"))
	require.NoError(t, err)
	require.Equal(t, "first", string(content))
	require.NoFileExists(t, filepath.Join(dir, "etc", "passwd"))

	server.NewHostKeys(t)
	server.Stop(t)
	server.Run(t)
	failed := s.backUp(t)
	require.Equal(t, domain.Failed, failed.Status, "somebody else may be in its place")
	require.Contains(t, failed.ErrorMessage, "host key")
	require.Equal(t, string(failure.ConfigInvalid), failed.Metadata.FailureClass)
	_, err = shared.owner.BackupJobs.Update(t.Context(), s.job.ID, map[string]any{"backup_options": map[string]any{"referenced_files": map[string]any{"host": "127.0.0.2"}}})
	require.ErrorContains(t, err, "private_key", "the key is only sent where it was entered for")
}
