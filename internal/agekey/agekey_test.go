package agekey

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/failure"
)

func newIdentity(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return id
}

func sshKey(t *testing.T) (private, public string) {
	t.Helper()
	key, secret, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(secret, "")
	require.NoError(t, err)
	line, err := ssh.NewPublicKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line)))
}

func TestWhatARecipientEncryptsItsIdentityOpens(t *testing.T) {
	id := newIdentity(t)
	private, public := sshKey(t)
	for name, key := range map[string]struct{ file, recipient, listed string }{
		"an age identity file": {"# created: today\n# public key: x\n\n" + id.String() + "\n", " " + id.Recipient().String() + "\n", id.Recipient().String()},
		"an SSH key":           {private, public + " somebody@host", public},
	} {
		recipient, err := ParseRecipient(key.recipient)
		require.NoError(t, err, name)
		require.Equal(t, key.listed, recipient.String(), name)
		identities, err := ParseIdentities(strings.NewReader(key.file))
		require.NoError(t, err, name)
		require.Len(t, identities, 1, name)
		require.Equal(t, key.listed, identities[0].Public, name)
		again, err := ParseIdentities(strings.NewReader(identities[0].Secret))
		require.NoError(t, err, "what is stored of it is read again")

		var sealed bytes.Buffer
		w, err := age.Encrypt(&sealed, recipient)
		require.NoError(t, err)
		_, err = w.Write([]byte("text"))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		r, err := age.Decrypt(&sealed, Plain(again)...)
		require.NoError(t, err, name)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, "text", string(text))
	}
}

func TestWhatIsNoKeyIsRefusedAndNotQuoted(t *testing.T) {
	id := newIdentity(t)
	damaged := id.String()[:40] + "QQQQQQ"
	for name, text := range map[string]string{
		"nothing": "", "comments only": "# public key: age1\n", "a damaged key": damaged, "the public key": id.Recipient().String(),
		"a damaged SSH key": "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n", "too much": strings.Repeat("#\n", 1<<20),
	} {
		_, err := ParseIdentities(strings.NewReader(text))
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), name)
		require.NotContains(t, err.Error(), "QQQQQQ", name)
		require.NotEmpty(t, failure.HintOf(err), name)
	}
	for name, text := range map[string]string{
		"nothing": "", "an identity": id.String(), "a word": "age1nothing", "an unknown SSH key": "ssh-dss AAAA", "two keys": "ssh-ed25519 A\nssh-ed25519 B",
	} {
		_, err := ParseRecipient(text)
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), name)
		require.NotContains(t, err.Error(), id.String(), name)
	}
}
