package ssh_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/pkg/sftp"
	"github.com/stretchr/testify/require"
	xssh "golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/ssh"
	"github.com/dataguardian/dataguardian/internal/storage/ssh/link"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

const password = "open-sesame-secret"

// startOther starts another SSH server in this process, for what OpenSSH can not be asked in a test: it
// takes passwords from PAM or the shadow file only, which would need an account of the machine. Behind it
// is pkg/sftp's server, which has no fsync@openssh.com and no limits@openssh.com.
func startOther(t *testing.T, login func(*xssh.ServerConfig)) ssh.Options {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := xssh.NewSignerFromKey(key)
	require.NoError(t, err)
	config := &xssh.ServerConfig{}
	config.AddHostKey(signer)
	login(config)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serve(conn, config) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return ssh.Options{Root: t.TempDir(), Options: link.Options{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, User: "backup", Password: password,
		HostKey: xssh.FingerprintSHA256(signer.PublicKey()),
	}}
}

func serve(conn net.Conn, config *xssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := xssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go xssh.DiscardRequests(requests)
	for opened := range channels {
		channel, asked, err := opened.Accept()
		if err != nil {
			return
		}
		go func() {
			for request := range asked {
				_ = request.Reply(request.Type == "subsystem", nil)
			}
		}()
		go func() {
			defer channel.Close()
			if server, err := sftp.NewServer(channel); err == nil {
				_ = server.Serve()
			}
		}()
	}
}

func byPassword(c *xssh.ServerConfig) {
	c.PasswordCallback = func(_ xssh.ConnMetadata, given []byte) (*xssh.Permissions, error) {
		if string(given) != password {
			return nil, errors.New("wrong password")
		}
		return &xssh.Permissions{}, nil
	}
}

func byQuestion(questions ...string) func(*xssh.ServerConfig) {
	return func(c *xssh.ServerConfig) {
		c.KeyboardInteractiveCallback = func(_ xssh.ConnMetadata, ask xssh.KeyboardInteractiveChallenge) (*xssh.Permissions, error) {
			for _, question := range questions {
				answers, err := ask("", "", []string{question}, []bool{false})
				if err != nil || len(answers) != 1 || answers[0] != password {
					return nil, errors.New("wrong answer")
				}
			}
			return &xssh.Permissions{}, nil
		}
	}
}

func TestAPasswordLogsIn(t *testing.T) {
	for name, login := range map[string]func(*xssh.ServerConfig){"as a password": byPassword, "as the answer to a question": byQuestion("Password: ")} {
		t.Run(name, func(t *testing.T) {
			opts := startOther(t, login)
			store := open(t, opts)
			put(t, store, "k", "value")
			require.NoError(t, store.Sync(t.Context()))
			require.NoError(t, store.Close())
			opts.Password = "another-secret"
			_, err := ssh.Open(t.Context(), opts)
			require.Equal(t, failure.AuthFailed, failure.ClassOf(err), "%v", err)
			require.NotEmpty(t, failure.HintOf(err))
			require.NotContains(t, failure.Message(err), "secret")
		})
	}
}

func TestASecondFactorIsNotGivenThePassword(t *testing.T) {
	_, err := ssh.Open(t.Context(), startOther(t, byQuestion("Password: ", "Verification code: ")))
	require.Equal(t, failure.AuthFailed, failure.ClassOf(err), "%v", err)
}

func TestAnotherSFTPServerKeepsTheContract(t *testing.T) {
	for name, extensions := range map[string][]string{
		"with its extensions": {"hardlink@openssh.com", "posix-rename@openssh.com", "statvfs@openssh.com"},
		"without any of them": {},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, sftp.SetSFTPExtensions(extensions...))
			t.Cleanup(func() {
				require.NoError(t, sftp.SetSFTPExtensions("hardlink@openssh.com", "posix-rename@openssh.com", "statvfs@openssh.com"))
			})
			opts := startOther(t, byPassword)
			store := open(t, opts)
			defer store.Close()
			put(t, store, "a/k", "first")
			put(t, store, "a/k", "second") // plain SFTP refuses to rename onto an existing file
			body, err := store.Get(t.Context(), "a/k", 0, -1)
			require.NoError(t, err)
			content, err := io.ReadAll(body)
			require.NoError(t, err)
			require.NoError(t, body.Close())
			require.Equal(t, "second", string(content))
			require.Error(t, store.Put(t.Context(), "a", strings.NewReader("x"), 1))
			require.Empty(t, tempFiles(t, opts.Root))
			usage, err := store.Usage(t.Context())
			require.NoError(t, err)
			require.Equal(t, int64(6), usage.Used)
			if len(extensions) == 0 {
				require.Equal(t, storage.Usage{Used: 6, Available: -1, Capacity: -1}, usage)
			}
		})
	}
	t.Run("whole", func(t *testing.T) {
		storagetest.Run(t, storagetest.Config{
			Open: func(t *testing.T) storage.Store { return open(t, startOther(t, byPassword)) },
			Is:   func(s storage.Store) bool { _, ok := s.(*ssh.Store); return ok },
			Without: map[storagetest.Check]string{
				storagetest.Quota:            "DataGuardian enforces none on a server",
				storagetest.Full:             "TestSSHKeepsTheContract makes it",
				storagetest.PermissionDenied: "TestSSHKeepsTheContract makes it",
				storagetest.BrokenConnection: "TestSSHKeepsTheContract makes it",
				storagetest.LargeObject:      "TestSSHKeepsTheContract makes it",
				storagetest.ManyObjects:      "TestSSHKeepsTheContract makes it",
			},
		})
	})
}
