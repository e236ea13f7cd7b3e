// Package agekey reads the keys that backups are encrypted to and opened with, as people write them:
// age recipients and identities, and the SSH keys that age takes as such. No error of it quotes an
// identity.
package agekey

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// maxIdentityFile bounds what ParseIdentities reads, in bytes; a file of keys is some hundred.
const maxIdentityFile = 1 << 20

// Recipient is what a backup is encrypted to, with the text by which a manifest lists it.
type Recipient struct {
	age.Recipient
	text string
}

// String is the recipient as people write it, an SSH key without its comment.
func (r Recipient) String() string { return r.text }

// ParseRecipient reads one recipient: age1… of an X25519 identity, or the line of an ssh-ed25519 or
// ssh-rsa public key. Errors: ConfigInvalid.
func ParseRecipient(text string) (Recipient, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "ssh-") {
		return parseSSH(text)
	}
	parsed, err := age.ParseX25519Recipient(text)
	if err != nil {
		return Recipient{}, failure.New(failure.ConfigInvalid, "read the age recipient",
			"it is neither an age recipient nor an ssh-ed25519 or ssh-rsa public key",
			"Give the public key that age-keygen prints (age1…), or the one line of a .pub file of ssh-keygen.")
	}
	return Recipient{Recipient: parsed, text: parsed.String()}, nil
}

func parseSSH(text string) (Recipient, error) {
	const op = "read the SSH public key"
	if strings.ContainsAny(text, "\n\r") {
		return Recipient{}, failure.New(failure.ConfigInvalid, op, "it has more than one line", "Give one key at a time.")
	}
	parsed, err := agessh.ParseRecipient(text)
	if err != nil {
		return Recipient{}, failure.Wrap(failure.ConfigInvalid, op, err, "Give an ssh-ed25519 key, or an ssh-rsa key of 2048 bits or more.")
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		return Recipient{}, failure.Wrap(failure.ConfigInvalid, op, err, "")
	}
	return Recipient{Recipient: parsed, text: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))}, nil
}

// Identity opens backups that were encrypted to its recipient.
type Identity struct {
	age.Identity
	// Secret is the key itself, as it is stored: an AGE-SECRET-KEY-1… line, or an SSH key in PEM.
	Secret string
	// Public is its recipient.
	Public string
}

const identityHint = "Give the file that age-keygen or `dataguardian recovery-kit` wrote: one AGE-SECRET-KEY-1… a line, lines with # are comments."

// ParseIdentities reads a file of identities: AGE-SECRET-KEY-1… lines as age-keygen writes them, or
// one SSH private key without a passphrase. Errors: ConfigInvalid.
func ParseIdentities(r io.Reader) ([]Identity, error) {
	const op = "read the identity"
	text, err := io.ReadAll(io.LimitReader(r, maxIdentityFile+1))
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, op, err, "")
	}
	if len(text) > maxIdentityFile {
		return nil, failure.New(failure.ConfigInvalid, op, "the file is longer than 1 MiB", identityHint)
	}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN")) {
		identity, err := parseSSHIdentity(op, text)
		if err != nil {
			return nil, err
		}
		return []Identity{identity}, nil
	}
	var identities []Identity
	for number, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parsed, err := age.ParseX25519Identity(line)
		if err != nil { // its text may quote the key
			return nil, failure.New(failure.ConfigInvalid, op, fmt.Sprintf("line %d is not an age identity", number+1), identityHint)
		}
		identities = append(identities, Identity{Identity: parsed, Secret: parsed.String(), Public: parsed.Recipient().String()})
	}
	if len(identities) == 0 {
		return nil, failure.New(failure.ConfigInvalid, op, "it holds no identity", identityHint)
	}
	return identities, nil
}

func parseSSHIdentity(op string, text []byte) (Identity, error) {
	parsed, err := agessh.ParseIdentity(text)
	if err != nil {
		return Identity{}, failure.New(failure.ConfigInvalid, op, "it is not a private key of ssh-keygen without a passphrase (ed25519 or rsa)",
			"Take the passphrase off a copy of it, kept in memory only: ssh-keygen -p -f COPY.")
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return Identity{}, failure.New(failure.ConfigInvalid, op, "its public key can not be read", "")
	}
	public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	return Identity{Identity: parsed, Secret: string(text), Public: public}, nil
}

// Plain gives the identities as package age takes them.
func Plain(identities []Identity) []age.Identity {
	out := make([]age.Identity, len(identities))
	for i, id := range identities {
		out[i] = id.Identity
	}
	return out
}
