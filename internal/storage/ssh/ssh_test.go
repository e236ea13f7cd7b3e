package ssh_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	xssh "golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/ssh"
	"github.com/dataguardian/dataguardian/internal/storage/ssh/link"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// optionsOf are the settings of a location in root on server, its Ed25519 key confirmed.
func optionsOf(server *sshserver.Server, root string) ssh.Options {
	return ssh.Options{Root: root, Options: link.Options{
		Host: server.Host, Port: server.Port, User: server.User, PrivateKey: server.PrivateKey, HostKey: server.HostKeys[xssh.KeyAlgoED25519],
	}}
}

func open(t *testing.T, opts ssh.Options) *ssh.Store {
	t.Helper()
	store, err := ssh.Open(context.Background(), opts)
	require.NoError(t, err)
	return store
}

func TestSSHKeepsTheContract(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	storagetest.Run(t, storagetest.Config{
		Open: func(t *testing.T) storage.Store {
			return open(t, optionsOf(server, filepath.Join(t.TempDir(), "root")))
		},
		Is: func(s storage.Store) bool { _, ok := s.(*ssh.Store); return ok },
	})
}
