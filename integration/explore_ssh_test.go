package integration

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	xssh "golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// The host key is shown by a worker, confirmed by a person, and the location then explored over SFTP.
func TestAnSSHLocationIsConfirmedAndExplored(t *testing.T) {
	t.Parallel()
	server := sshserver.Start(t, sshserver.Options{})
	config := server.Config(filepath.Join(t.TempDir(), "nas"))
	config.HostKey = ""
	result, err := shared.owner.TestStorageDraft(t.Context(), client.StorageDraft{Type: domain.StorageSSH, Config: config})
	require.NoError(t, err)
	require.NotEqual(t, domain.HealthOK, result.Status)
	require.Equal(t, server.HostKeys[xssh.KeyAlgoED25519], result.HostKey, "%+v", result)
	document := client.StorageLocationDocument{Name: unique(t), Type: domain.StorageSSH, Config: config}
	_, err = shared.owner.StorageLocations.Create(t.Context(), document)
	require.Equal(t, http.StatusUnprocessableEntity, client.Status(err))
	require.ErrorContains(t, err, result.HostKeyFingerprint)
	require.ErrorContains(t, err, "config.host_key")

	document.Config.HostKey = result.HostKey
	result, err = shared.owner.TestStorageDraft(t.Context(), client.StorageDraft{Type: domain.StorageSSH, Config: document.Config})
	require.NoError(t, err)
	require.Equal(t, domain.HealthOK, result.Status, result.Message)
	created, err := shared.owner.StorageLocations.Create(t.Context(), document)
	require.NoError(t, err)
	s := &setup{storage: created, storagePath: config.RemotePath}
	require.NoError(t, os.Mkdir(filepath.Join(config.RemotePath, "notes"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(config.RemotePath, "notes", "a"), []byte("abc"), 0o600))
	require.Contains(t, s.files(t, "notes"), "notes/a")
	_, content := s.download(t, "notes/a", "Range", "bytes=1-")
	require.Equal(t, "bc", string(content))
	copied, err := shared.owner.CopyFile(t.Context(), created.ID, "notes/a", "notes/b", false)
	require.NoError(t, err)
	require.Equal(t, int64(3), copied.Bytes)
	deleted, err := shared.owner.DeleteFiles(t.Context(), created.ID, "notes/")
	require.NoError(t, err)
	require.Equal(t, int64(2), deleted.Objects)
	listed, err := shared.owner.ListFiles(t.Context(), created.ID, "")
	require.NoError(t, err)
	require.Empty(t, listed)
}
