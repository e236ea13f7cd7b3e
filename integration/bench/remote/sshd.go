package remote

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/recovery"
)

// sshd is where Debian's package openssh-server puts it; it insists on an absolute path.
const sshd = "/usr/sbin/sshd"

// SSH starts an OpenSSH server below dir, which must be there. The caller stops the place.
func SSH(ctx context.Context, dir string) (*Place, error) {
	p := newPlace(dir)
	p.Syncs = true
	current, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := writeKeys(dir, port)
	if err != nil {
		return nil, err
	}
	if err := p.configure(dir, p.Copies, "type = sftp", "host = "+host, fmt.Sprintf("port = %d", port), "user = "+current.Username,
		"key_file = "+keys.clientFile, "known_hosts_file = "+keys.knownHosts); err != nil {
		return nil, err
	}
	if err := p.describe(dir, recovery.Location{Type: domain.StorageSSH, Config: domain.StorageConfig{
		Host: host, Port: port, Username: current.Username, PrivateKey: keys.client, HostKey: keys.host, RemotePath: p.Objects,
	}}); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 { // what Debian's service makes at its start
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
	}
	p.server, err = start(ctx, dir, address(port), nil, sshd, "-D", "-e", "-f", keys.serverConfig)
	return p, err
}

// keys are those of the server and of its only user.
type keys struct {
	client, clientFile       string // in OpenSSH's format
	host                     string // a line of known_hosts without the host
	knownHosts, serverConfig string // files
}

func writeKeys(dir string, port int) (k keys, err error) {
	file := func(name string) string { return filepath.Join(dir, name) }
	k = keys{clientFile: file("client_key"), knownHosts: file("known_hosts"), serverConfig: file("sshd_config")}
	hostKey, hostLine, err := newKey()
	if err != nil {
		return k, err
	}
	client, clientLine, err := newKey()
	if err != nil {
		return k, err
	}
	k.client, k.host = client, hostLine
	config := []string{
		"ListenAddress " + address(port), "PidFile none", "UsePAM no", "StrictModes no", "PermitRootLogin prohibit-password",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no", "Subsystem sftp internal-sftp",
		"AuthorizedKeysFile " + file("authorized_keys"), "HostKey " + file("host_key"),
	}
	for name, text := range map[string]string{
		file("host_key"): hostKey, k.clientFile: client, file("authorized_keys"): clientLine + "\n",
		k.knownHosts: fmt.Sprintf("[%s]:%d %s\n", host, port, hostLine), k.serverConfig: strings.Join(config, "\n") + "\n",
	} {
		if err := write(name, text); err != nil {
			return k, err
		}
	}
	return k, nil
}

func newKey() (private, line string, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("bench: make a key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, "bench")
	if err != nil {
		return "", "", fmt.Errorf("bench: make a key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return "", "", fmt.Errorf("bench: make a key: %w", err)
	}
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), nil
}
