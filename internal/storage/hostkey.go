package storage

import "errors"

// HostKeyReporter is the cause of an error of a backend whose server must show a known key, and whose
// configuration names none: what the server shows, for a person to confirm.
type HostKeyReporter interface {
	error
	// ServerHostKey gives the key as a line of known_hosts without the host (ssh-ed25519 AAAA…), and its
	// fingerprint (SHA256:…).
	ServerHostKey() (key, fingerprint string)
}

// UnknownHostKey finds the key that a server showed in the error of opening its store.
func UnknownHostKey(err error) (key, fingerprint string, ok bool) {
	var reporter HostKeyReporter
	if !errors.As(err, &reporter) {
		return "", "", false
	}
	key, fingerprint = reporter.ServerHostKey()
	return key, fingerprint, key != ""
}
