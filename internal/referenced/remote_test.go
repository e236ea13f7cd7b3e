package referenced_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/referenced"
	"github.com/dataguardian/dataguardian/internal/sshdial"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// overSSH has files read from the server.
func overSSH(server *sshserver.Server) domain.ReferencedFiles {
	login := server.Tunnel()
	return domain.ReferencedFiles{
		SourceType: domain.FilesSSH, Host: login.Host, Port: login.Port, Username: login.Username, PrivateKey: login.PrivateKey, HostKey: login.HostKey,
	}
}

func TestFilesOfAnSSHServerAreStoredAsThoseOfTheWorker(t *testing.T) {
	base, _ := tree(t)
	large := bytes.Repeat([]byte("many packets"), 300_000)
	require.NoError(t, os.WriteFile(filepath.Join(base, "large"), large, 0o600))
	for _, name := range []string{"b.txt", "deep/a.txt", "large"} { // SFTP has no fractions of a second
		require.NoError(t, os.Chtimes(filepath.Join(base, name), time.Unix(1e9, 0), time.Unix(1e9, 0)))
	}
	paths := []string{filepath.Join(base, "deep", "a.txt"), "b.txt", filepath.Join(base, "b.txt"), "", "deep/../b.txt", "inside", "large"}
	wanted, report, err := write(t, domain.MissingFail, []string{base}, paths...)
	require.NoError(t, err)

	archive, remote, err := writeFrom(t, overSSH(sshserver.Start(t, sshserver.Options{SFTPArgs: "-R"})), domain.MissingFail, []string{base}, paths...)
	require.NoError(t, err)
	require.Equal(t, report, remote)
	dir := filepath.Join(t.TempDir(), "restored")
	_, err = referenced.Extract(bytes.NewReader(archive), dir, "abc")
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.Join(dir, base, "large"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(large, content))
	require.True(t, bytes.Equal(wanted, archive), "the same to the byte")
}

func TestAServerThatCanNotBeUsedFailsTheBackupWhateverThePolicy(t *testing.T) {
	base, other := tree(t)
	server := sshserver.Start(t, sshserver.Options{})
	another := sshserver.Start(t, sshserver.Options{})
	for name, c := range map[string]struct {
		change func(*domain.ReferencedFiles)
		bases  []string
		class  failure.Class
	}{
		"another host key":                   {func(o *domain.ReferencedFiles) { o.HostKey = another.Tunnel().HostKey }, nil, failure.ConfigInvalid},
		"another private key":                {func(o *domain.ReferencedFiles) { o.PrivateKey = another.PrivateKey }, nil, failure.AuthFailed},
		"a base directory that is not there": {nil, []string{filepath.Join(base, "gone")}, failure.NotFound},
		"a base directory that is a file":    {nil, []string{filepath.Join(other, "secret.txt")}, failure.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			options, bases := overSSH(server), []string{base}
			if c.change != nil {
				c.change(&options)
			}
			if c.bases != nil {
				bases = c.bases
			}
			_, _, err := writeFrom(t, options, domain.MissingWarn, bases, "b.txt")
			require.Equal(t, c.class, failure.ClassOf(err), "%v", err)
			require.NotEmpty(t, failure.HintOf(err))
			require.NotContains(t, err.Error(), "PRIVATE KEY")
		})
	}
	t.Run("another host key, of which both are told", func(t *testing.T) {
		options := overSSH(server)
		options.HostKey = another.Tunnel().HostKey
		_, _, err := writeFrom(t, options, domain.MissingWarn, []string{base}, "b.txt")
		var changed *sshdial.HostKeyChangedError
		require.ErrorAs(t, err, &changed)
	})
}

// cutting ends the server's sessions at the first byte of the archive.
type cutting struct {
	io.Writer
	cut func()
}

func (c *cutting) Write(p []byte) (int, error) {
	if c.cut != nil {
		c.cut()
		c.cut = nil
	}
	return c.Writer.Write(p)
}

func TestAConnectionThatBreaksIsNotTakenForFilesThatAreMissing(t *testing.T) {
	base, _ := tree(t)
	require.NoError(t, os.WriteFile(filepath.Join(base, "a"), make([]byte, 8<<20), 0o600))
	server := sshserver.Start(t, sshserver.Options{})
	paths := referenced.NewPaths(100)
	for _, path := range []string{"a", "b.txt", "deep/a.txt"} {
		require.NoError(t, paths.Add(path))
	}
	options := overSSH(server)
	options.BaseDirectories, options.MissingFilePolicy = []string{base}, domain.MissingWarn
	_, err := referenced.Write(t.Context(), options, paths, &cutting{io.Discard, func() { server.KillSessions(t) }})
	require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%v", err)

	ctx, cancel := context.WithCancel(t.Context())
	_, err = referenced.Write(ctx, options, paths, &cutting{io.Discard, cancel})
	require.Error(t, err)
}
