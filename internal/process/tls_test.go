package process_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/process"
)

// writeCertificate makes a self-signed certificate of this serial number.
func writeCertificate(t *testing.T, dir string, serial int64) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return certFile, keyFile
}

func TestARenewedCertificateIsServedWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writeCertificate(t, dir, 1)
	logger := slog.New(slog.DiscardHandler)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listener, err := process.ListenTLS(plain, certFile, keyFile, logger)
	require.NoError(t, err)
	server := process.ServeHTTP(listener, http.NotFoundHandler(), logger)
	defer server.Stop(t.Context())
	serial := func() int64 {
		conn, err := tls.Dial("tcp", server.Address(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the certificate is looked at
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close()) }()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	require.EqualValues(t, 1, serial())
	require.NoError(t, os.WriteFile(certFile, []byte("half written"), 0o600))
	require.Never(t, func() bool { return serial() != 1 }, 1300*time.Millisecond, 200*time.Millisecond)
	writeCertificate(t, dir, 2)
	require.Eventually(t, func() bool { return serial() == 2 }, 2*time.Minute, 100*time.Millisecond)
	_, err = tls.Dial("tcp", server.Address(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}) //nolint:gosec // it must be refused
	require.Error(t, err)
}

func TestACertificateThatCanNotBeReadIsRefusedAtStart(t *testing.T) {
	_, err := process.ListenTLS(nil, "/no/such.crt", "/no/such.key", slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "certificate of the API")
}
