package recovery

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	xssh "golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

func TestABackupOnAnSSHServerIsRecoveredWithoutAPlatform(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	location := Location{Type: domain.StorageSSH, Config: domain.StorageConfig{
		Host: server.Host, Port: server.Port, Username: server.User, PrivateKey: server.PrivateKey,
		RemotePath: filepath.Join(t.TempDir(), "backups"), HostKey: server.HostKeys[xssh.KeyAlgoED25519],
	}}
	f := newFixture(t)
	store, err := location.Open(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	f.store = store
	data := noise(3, 300_000)
	execution := f.backUp(t, newSource("orders"), time.Now().UTC(), map[string][]byte{"database": data}, f.id.Recipient())

	r := f.recovery(f.id)
	found, err := r.Find(t.Context(), Ref{Backup: execution})
	require.NoError(t, err)
	checked, err := r.Verify(t.Context(), found, false)
	require.NoError(t, err)
	require.EqualValues(t, len(found.Manifest.Objects), checked.Objects)
	var got bytes.Buffer
	_, err = r.Dump(t.Context(), found, "database", &got)
	require.NoError(t, err)
	require.Equal(t, data, got.Bytes())
}
