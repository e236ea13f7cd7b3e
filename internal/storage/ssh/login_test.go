package ssh_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	xssh "golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/ssh"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

func TestAServerIsNotTalkedToBeforeItsKeyIsConfirmed(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	opts.HostKey = ""
	_, err := ssh.Open(t.Context(), opts)
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err))
	require.NotEmpty(t, failure.HintOf(err))
	var unknown *ssh.UnknownHostKeyError
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, server.HostKeys[xssh.KeyAlgoED25519], unknown.Key)
	require.ErrorContains(t, err, unknown.Fingerprint)
	require.ErrorContains(t, err, unknown.Address)
	require.Zero(t, server.Logins())

	for name, confirmed := range map[string]string{"fingerprint": unknown.Fingerprint, "padded fingerprint": unknown.Fingerprint + "=", "key": unknown.Key + " comment"} {
		opts.HostKey = confirmed
		store, err := ssh.Open(t.Context(), opts)
		require.NoError(t, err, name)
		require.NoError(t, store.Close())
	}
}

func TestEveryKeyOfAServerMayBeTheConfirmedOne(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	require.Len(t, server.HostKeys, 3)
	for keyType, line := range server.HostKeys {
		key, _, _, _, err := xssh.ParseAuthorizedKey([]byte(line))
		require.NoError(t, err)
		for name, confirmed := range map[string]string{"line": line, "fingerprint": xssh.FingerprintSHA256(key)} {
			opts := optionsOf(server, t.TempDir())
			opts.HostKey = confirmed
			store, err := ssh.Open(t.Context(), opts)
			require.NoError(t, err, "%s of %s", name, keyType)
			require.NoError(t, store.Close())
		}
	}
}

func TestAChangedHostKeyIsRefused(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	key, _, _, _, err := xssh.ParseAuthorizedKey([]byte(opts.HostKey))
	require.NoError(t, err)
	store := open(t, opts)
	defer store.Close()
	logins := server.Logins()
	server.Stop(t)
	server.NewHostKeys(t)
	server.Run(t)

	check := func(err error) {
		t.Helper()
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%v", err)
		var changed *ssh.HostKeyChangedError
		require.ErrorAs(t, err, &changed)
		require.Equal(t, xssh.FingerprintSHA256(key), changed.Expected)
		require.Equal(t, server.HostKeys[xssh.KeyAlgoED25519], changed.Key)
		require.ErrorContains(t, err, changed.Expected)
		require.ErrorContains(t, err, changed.Fingerprint)
		require.Contains(t, failure.HintOf(err), "Somebody may be between")
	}
	_, err = ssh.Open(t.Context(), opts)
	check(err)
	_, err = store.Stat(t.Context(), "k") // a reconnection is no exception
	check(err)
	opts.HostKey = xssh.FingerprintSHA256(key)
	_, err = ssh.Open(t.Context(), opts)
	check(err)
	require.Equal(t, logins, server.Logins(), "nobody logged in")
}

func TestLoginsThatCanNotWorkSayWhy(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	_, other, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	locked := sshserver.EncodeKey(t, other, "correct horse")
	for name, c := range map[string]struct {
		change func(*ssh.Options)
		class  failure.Class
	}{
		"another key":                 {func(o *ssh.Options) { o.PrivateKey = sshserver.EncodeKey(t, other, "") }, failure.AuthFailed},
		"a password where none works": {func(o *ssh.Options) { o.PrivateKey, o.Password = "", "hunter2-secret" }, failure.AuthFailed},
		"a user that is not there":    {func(o *ssh.Options) { o.User = "nobody-of-that-name" }, failure.AuthFailed},
		"no passphrase":               {func(o *ssh.Options) { o.PrivateKey = locked }, failure.ConfigInvalid},
		"another passphrase":          {func(o *ssh.Options) { o.PrivateKey, o.Passphrase = locked, "wrong-secret" }, failure.ConfigInvalid},
		"a damaged key":               {func(o *ssh.Options) { o.PrivateKey = o.PrivateKey[:100] }, failure.ConfigInvalid},
		"a damaged host key":          {func(o *ssh.Options) { o.HostKey = "ssh-ed25519 AAAA" }, failure.ConfigInvalid},
		"a missing parent":            {func(o *ssh.Options) { o.Root += "/not/there" }, failure.ConfigInvalid},
		"a file":                      {func(o *ssh.Options) { o.Root = "/etc/passwd" }, failure.ConfigInvalid},
		"a relative path":             {func(o *ssh.Options) { o.Root = "relative" }, failure.ConfigInvalid},
		"the root directory":          {func(o *ssh.Options) { o.Root = "/" }, failure.ConfigInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			opts := optionsOf(server, t.TempDir())
			c.change(&opts)
			_, err := ssh.Open(t.Context(), opts)
			require.Equal(t, c.class, failure.ClassOf(err), "%v", err)
			require.NotEmpty(t, failure.HintOf(err), "%v", err)
			require.NotContains(t, failure.Message(err), "secret")
		})
	}
}

func TestAKeyWithAPassphraseLogsIn(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	private, err := xssh.ParseRawPrivateKey([]byte(server.PrivateKey))
	require.NoError(t, err)
	opts := optionsOf(server, filepath.Join(t.TempDir(), "new"))
	opts.PrivateKey, opts.Passphrase = sshserver.EncodeKey(t, *private.(*ed25519.PrivateKey), "correct horse"), "correct horse"
	require.NoError(t, open(t, opts).Close())
	require.DirExists(t, opts.Root)
}

func TestAServerThatDoesNotAnswerIsToldApart(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections, and nobody speaks
	require.NoError(t, err)
	defer silent.Close()
	server := sshserver.Start(t, sshserver.Options{})
	opts := optionsOf(server, t.TempDir())
	server.Stop(t)
	_, err = ssh.Open(t.Context(), opts)
	require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%v", err)
	require.ErrorContains(t, err, net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port)))
	require.NotEmpty(t, failure.HintOf(err))

	opts.Port = silent.Addr().(*net.TCPAddr).Port
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = ssh.Open(ctx, opts)
	require.Equal(t, failure.Timeout, failure.ClassOf(err), "%v", err)
	require.ErrorContains(t, err, silent.Addr().String())
}

func TestAServerWithoutSFTPSaysSo(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{Config: []string{"ForceCommand /bin/echo this account is for backups of another kind only"}})
	_, err := ssh.Open(t.Context(), optionsOf(server, t.TempDir()))
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%v", err)
	require.Contains(t, failure.HintOf(err), "sftp subsystem")
}
