package ssh_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	xssh "golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/domain"
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
		OpenSmall: func(t *testing.T, maxBytes int64) storage.Store {
			return open(t, optionsOf(server, storagetest.SmallDir(t, maxBytes)))
		},
		OpenReadOnly: func(t *testing.T, objects map[string]string) storage.Store {
			root := t.TempDir()
			writable := open(t, optionsOf(server, root))
			for key, content := range objects {
				require.NoError(t, writable.Put(t.Context(), key, strings.NewReader(content), int64(len(content))))
			}
			require.NoError(t, writable.Close())
			storagetest.ReadOnlyDir(t, root)
			return open(t, optionsOf(server, root))
		},
		OpenBroken: func(t *testing.T) storagetest.Broken {
			link := storagetest.NewLink(t, net.JoinHostPort(server.Host, strconv.Itoa(server.Port)))
			opts := optionsOf(server, filepath.Join(t.TempDir(), "root"))
			host, port, err := net.SplitHostPort(link.Addr())
			require.NoError(t, err)
			opts.Host, opts.Patience = host, time.Second
			opts.Port, err = strconv.Atoi(port)
			require.NoError(t, err)
			return storagetest.Broken{Store: open(t, opts), Cut: link.Cut, Restore: link.Restore}
		},
		Without: map[storagetest.Check]string{storagetest.Quota: "DataGuardian enforces none on a server"},
		Secrets: []string{server.PrivateKey},
	})
}

func TestTheSettingsOfALocationOpenIt(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	config := server.Config(t.TempDir())
	config.HostKey = server.HostKeys[xssh.KeyAlgoRSA]
	config.Normalize(domain.StorageSSH)
	require.Empty(t, config.Validate(domain.StorageSSH))
	store := open(t, ssh.OptionsOf(config))
	put(t, store, "a/k", "value")
	require.NoError(t, store.Close())
	require.FileExists(t, filepath.Join(config.RemotePath, "a", "k"))
}

// What Sync builds on: no other way makes the name of an object durable over SFTP.
func TestOpenSSHSyncsDirectoriesLikeFiles(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	pool, err := link.Open(t.Context(), opts.Options)
	require.NoError(t, err)
	defer pool.Close()
	require.NoError(t, pool.Do(t.Context(), func(c *link.Conn) error {
		require.True(t, c.Has("fsync@openssh.com"))
		require.Equal(t, 255<<10, c.Packet)
		dir, err := c.Open(opts.Root)
		require.NoError(t, err)
		return errors.Join(dir.Sync(), dir.Close())
	}))
}
