// Package sshserver runs a real OpenSSH server for tests: the machine's sshd with a configuration, host
// keys and authorized keys of its own, on a free port of 127.0.0.1, for the user that runs the test.
package sshserver

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// binary is where Debian's package openssh-server puts it; sshd insists on an absolute path.
const binary = "/usr/sbin/sshd"

// Options change the server from what Debian's does.
type Options struct {
	SFTPArgs string   // of internal-sftp: "-R" takes nothing
	Config   []string // further lines of sshd_config
}

// Server is a running sshd.
type Server struct {
	Host       string
	Port       int
	User       string
	PrivateKey string            // a key that may log in, in OpenSSH format
	HostKeys   map[string]string // by type (ssh-ed25519), each as a line of known_hosts without the host

	dir     string
	process *exec.Cmd
	done    chan struct{} // closed when its log has ended
	log     struct {
		sync.Mutex
		lines []string
	}
}

// Start starts a server, which is stopped when the test ends. A machine without sshd fails the test.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	require.FileExists(t, binary, "the tests need a real SSH server; install the package openssh-server")
	current, err := user.Current()
	require.NoError(t, err)
	s := &Server{Host: "127.0.0.1", Port: freePort(t), User: current.Username, HostKeys: map[string]string{}, dir: t.TempDir()}
	if os.Geteuid() == 0 { // what Debian's service makes at its start
		require.NoError(t, os.MkdirAll("/run/sshd", 0o755)) //nolint:gosec // sshd insists on it
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	s.PrivateKey = EncodeKey(t, private, "")
	signer, err := ssh.NewSignerFromKey(private)
	require.NoError(t, err)
	s.write(t, "authorized_keys", string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	lines := append([]string{
		fmt.Sprintf("ListenAddress %s:%d", s.Host, s.Port), "PidFile none", "UsePAM no", "StrictModes no", "PermitRootLogin prohibit-password",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no", "LogLevel INFO",
		"AuthorizedKeysFile " + filepath.Join(s.dir, "authorized_keys"), "Subsystem sftp internal-sftp " + opts.SFTPArgs,
	}, opts.Config...)
	s.NewHostKeys(t)
	for _, name := range hostKeyFiles {
		lines = append(lines, "HostKey "+filepath.Join(s.dir, name))
	}
	s.write(t, "sshd_config", strings.Join(lines, "\n")+"\n")
	s.Run(t)
	t.Cleanup(func() {
		s.Stop(t)
		if t.Failed() {
			s.log.Lock()
			defer s.log.Unlock()
			t.Logf("sshd's log:\n%s", strings.Join(s.log.lines, "\n"))
		}
	})
	return s
}

// Config are the settings of a storage location in a directory of the server, its Ed25519 key confirmed.
func (s *Server) Config(root string) domain.StorageConfig {
	return domain.StorageConfig{
		Host: s.Host, Port: s.Port, Username: s.User, PrivateKey: s.PrivateKey, RemotePath: root, HostKey: s.HostKeys[ssh.KeyAlgoED25519],
	}
}

// Tunnel are the settings of an ssh_tunnel through the server, its Ed25519 key confirmed.
func (s *Server) Tunnel() domain.SSHTunnel {
	return domain.SSHTunnel{Host: s.Host, Port: s.Port, Username: s.User, PrivateKey: s.PrivateKey, HostKey: s.HostKeys[ssh.KeyAlgoED25519]}
}

var hostKeyFiles = []string{"host_ed25519", "host_ecdsa", "host_rsa"}

// rsaKey is made once: that takes a while.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// NewHostKeys gives the server host keys of three types, of which Ed25519 and ECDSA are new ones. It
// takes effect when the server is run.
func (s *Server) NewHostKeys(t testing.TB) {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	large, err := rsaKey()
	require.NoError(t, err)
	for i, key := range []any{ed, ec, large} {
		s.write(t, hostKeyFiles[i], EncodeKey(t, key, ""))
		signer, err := ssh.NewSignerFromKey(key)
		require.NoError(t, err)
		s.HostKeys[signer.PublicKey().Type()] = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	}
}

// EncodeKey writes a private key in OpenSSH's format, encrypted unless the passphrase is empty.
func EncodeKey(t testing.TB, key any, passphrase string) string {
	t.Helper()
	var block *pem.Block
	var err error
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "test")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "test", []byte(passphrase))
	}
	require.NoError(t, err)
	return string(pem.EncodeToMemory(block))
}

// Run starts the server again after Stop, on the same port, and returns when it listens.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	s.process = exec.CommandContext(context.WithoutCancel(t.Context()), binary, "-D", "-e", "-f", filepath.Join(s.dir, "sshd_config")) //nolint:gosec // a fixed program
	output, err := s.process.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, s.process.Start())
	listening := make(chan struct{})
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		heard := false
		for lines := bufio.NewScanner(output); lines.Scan(); {
			s.log.Lock()
			s.log.lines = append(s.log.lines, lines.Text())
			s.log.Unlock()
			if !heard && strings.Contains(lines.Text(), "Server listening") {
				heard = true
				close(listening)
			}
		}
	}()
	select {
	case <-listening:
	case <-s.done:
		t.Fatalf("sshd did not start: %s", s.logged())
	case <-time.After(30 * time.Second):
		t.Fatal("sshd does not listen after 30 s")
	}
}

func (s *Server) logged() string {
	s.log.Lock()
	defer s.log.Unlock()
	return strings.Join(s.log.lines, "\n")
}

// Logins counts the logins that the server has accepted.
func (s *Server) Logins() int { return strings.Count(s.logged(), "Accepted publickey") }

// Stop kills the server and every session of it, as a power cut would; Run starts it again.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.process == nil {
		return
	}
	// The listener first, so that no session begins any more.
	sessions := descendants(t, s.process.Process.Pid)
	require.NoError(t, s.process.Process.Kill())
	kill(sessions)
	<-s.done             // its log ends when nobody has it open any more
	_ = s.process.Wait() // it was killed
	s.process = nil
}

// KillSessions ends every session but leaves the server running.
func (s *Server) KillSessions(t testing.TB) {
	t.Helper()
	kill(descendants(t, s.process.Process.Pid))
}

func (s *Server) write(t testing.TB, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600))
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
