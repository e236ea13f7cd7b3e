package sshdial

import (
	"crypto/x509"
	"errors"

	"golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// errSecondFactor is what a server hears that asks for more than the password.
var errSecondFactor = errors.New("the server asks for more than a password")

// methods are the ways to log in. Nothing of what the parser says of a private key goes into an error.
func (o Options) methods() ([]ssh.AuthMethod, error) {
	if o.PrivateKey != "" {
		signer, err := parsePrivateKey(o.Op, o.PrivateKey, o.Passphrase)
		if err != nil {
			return nil, err
		}
		return []ssh.AuthMethod{ssh.PublicKeys(signer)}, nil
	}
	answered := false
	interactive := func(_, _ string, questions []string, echos []bool) ([]string, error) {
		if len(questions) == 0 {
			return nil, nil
		}
		if len(questions) > 1 || echos[0] || answered {
			return nil, errSecondFactor
		}
		answered = true
		return []string{o.Password}, nil
	}
	return []ssh.AuthMethod{ssh.Password(o.Password), ssh.KeyboardInteractive(interactive)}, nil
}

func parsePrivateKey(op, text, passphrase string) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey([]byte(text))
	var missing *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return signer, nil
	case !errors.As(err, &missing):
		return nil, failure.New(failure.ConfigInvalid, op, "private_key can not be read: it is damaged or of a kind that is not supported",
			"Paste the whole file of an Ed25519, ECDSA or RSA key in OpenSSH or PEM format, from -----BEGIN to END and the dashes.")
	case passphrase == "":
		return nil, failure.New(failure.ConfigInvalid, op, "private_key is encrypted and there is no passphrase", "Give the key's passphrase as passphrase.")
	}
	signer, err = ssh.ParsePrivateKeyWithPassphrase([]byte(text), []byte(passphrase))
	switch {
	case err == nil:
		return signer, nil
	case errors.Is(err, x509.IncorrectPasswordError):
		return nil, failure.New(failure.ConfigInvalid, op, "the passphrase does not open private_key", "Give the passphrase that the key was made with.")
	default:
		return nil, failure.New(failure.ConfigInvalid, op, "private_key can not be decrypted: it is damaged or its cipher is not supported",
			"Write the key anew with ssh-keygen -p and paste the whole file.")
	}
}
