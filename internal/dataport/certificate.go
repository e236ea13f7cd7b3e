package dataport

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"time"
)

// newCertificate makes a key and a certificate that nobody signs: the API knows it by its SHA-256.
func newCertificate() (tls.Certificate, []byte, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "dataguardian data port"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(100, 0, 0), // it ends with the process
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, public, private)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, sum[:], nil
}

// expecting is a TLS configuration that talks to the holder of one certificate and to nobody else.
func expecting(sum []byte) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// No authority signs it and no name is in it: VerifyConnection compares the certificate itself.
		InsecureSkipVerify: true, //nolint:gosec // see VerifyConnection
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) != 1 {
				return errors.New("the port shows another certificate than the worker's")
			}
			shown := sha256.Sum256(state.PeerCertificates[0].Raw)
			if subtle.ConstantTimeCompare(shown[:], sum) != 1 {
				return errors.New("the port shows another certificate than the worker's")
			}
			return nil
		},
	}
}
