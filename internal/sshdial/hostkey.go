package sshdial

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// UnknownHostKeyError is the cause of a refusal to connect to a server whose key nobody has confirmed.
// It carries what the operator compares and then saves as host_key.
type UnknownHostKeyError struct {
	Address     string // host:port
	Key         string // as a line of known_hosts without the host: ssh-ed25519 AAAA…
	Fingerprint string // SHA256:…
}

// ServerHostKey is for package storage: see storage.HostKeyReporter.
func (e *UnknownHostKeyError) ServerHostKey() (key, fingerprint string) { return e.Key, e.Fingerprint }

// Error names the server and its key.
func (e *UnknownHostKeyError) Error() string {
	keyType, _, _ := strings.Cut(e.Key, " ")
	return fmt.Sprintf("the host key of %s is not confirmed yet: the server shows %s %s", e.Address, keyType, e.Fingerprint)
}

// HostKeyChangedError is the cause of a refusal to talk to a server that shows another key than the
// confirmed one.
type HostKeyChangedError struct {
	Address     string // host:port
	Expected    string // fingerprint of the confirmed key
	Key         string // what the server shows, as a line of known_hosts without the host
	Fingerprint string // of Key
}

// Error names the server and both keys.
func (e *HostKeyChangedError) Error() string {
	keyType, _, _ := strings.Cut(e.Key, " ")
	return fmt.Sprintf("the host key of %s has changed: %s is confirmed, the server shows %s %s", e.Address, e.Expected, keyType, e.Fingerprint)
}

// families are the kinds of host key in the order in which they are asked for, each with the
// signature algorithms it may use; RSA only with SHA-2. Certificates are not asked for: what is
// pinned is a key.
var families = []struct {
	keyType    string
	algorithms []string
}{
	{ssh.KeyAlgoED25519, []string{ssh.KeyAlgoED25519}},
	{ssh.KeyAlgoECDSA256, []string{ssh.KeyAlgoECDSA256}},
	{ssh.KeyAlgoECDSA384, []string{ssh.KeyAlgoECDSA384}},
	{ssh.KeyAlgoECDSA521, []string{ssh.KeyAlgoECDSA521}},
	{ssh.KeyAlgoRSA, []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}},
}

// algorithms lists host key algorithms, those of keyType first, without those of the key types in seen.
func algorithms(keyType string, seen []string) []string {
	var first, rest []string
	for _, family := range families {
		switch {
		case slices.Contains(seen, family.keyType):
		case family.keyType == keyType:
			first = family.algorithms
		default:
			rest = append(rest, family.algorithms...)
		}
	}
	return slices.Concat(first, rest)
}

// pin is the confirmed host key. With a fingerprint alone the type of the key is not known until a
// server has shown it.
type pin struct {
	key         ssh.PublicKey // nil: only the fingerprint is known
	fingerprint string        // "": nothing is confirmed
}

func parsePin(op, text string) (pin, error) {
	text = strings.TrimSpace(text)
	if text == "" || strings.HasPrefix(text, "SHA256:") {
		return pin{fingerprint: strings.TrimRight(text, "=")}, nil
	}
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil || len(rest) > 0 {
		return pin{}, failure.New(failure.ConfigInvalid, op, "host_key is neither a public key nor a fingerprint",
			"Give one line of ssh-keyscan without the host name (ssh-ed25519 AAAA…), or the fingerprint SHA256:….")
	}
	return pin{key: key, fingerprint: ssh.FingerprintSHA256(key)}, nil
}

// keyType is the type of the confirmed key, "" while it is unknown.
func (p pin) keyType() string {
	if p.key == nil {
		return ""
	}
	return p.key.Type()
}

// check compares the key that a server proved to have with the confirmed one.
func (p pin) check(op, address string, shown ssh.PublicKey) error {
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(shown)))
	fingerprint := ssh.FingerprintSHA256(shown)
	switch {
	case p.fingerprint == "":
		return failure.Wrap(failure.ConfigInvalid, op,
			&UnknownHostKeyError{Address: address, Key: line, Fingerprint: fingerprint},
			"Compare the fingerprint with what ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub (or the file of that type) prints on the server, "+
				"then save it as host_key.")
	case p.key != nil && bytes.Equal(p.key.Marshal(), shown.Marshal()), p.key == nil && fingerprint == p.fingerprint:
		return nil
	default:
		return failure.Wrap(failure.ConfigInvalid, op,
			&HostKeyChangedError{Address: address, Expected: p.fingerprint, Key: line, Fingerprint: fingerprint},
			"Somebody may be between this worker and the server: nothing was sent to it. If the server was installed anew or its key was replaced, "+
				"compare the fingerprint on the server itself and save the new one as host_key.")
	}
}
