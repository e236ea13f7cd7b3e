package s3_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/s3"
	"github.com/dataguardian/dataguardian/internal/storage/s3/s3server"
)

// selfSigned makes a certificate for an address that ends at a time, and returns it and its files.
func selfSigned(t *testing.T, address string, end time.Time) (certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: end, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(certFile, []byte(certificate), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return certificate, certFile, keyFile
}

func TestCertificatesAreCheckedAndWhatIsWrongIsSaid(t *testing.T) {
	t.Parallel()
	tomorrow, yesterday := time.Now().Add(24*time.Hour), time.Now().Add(-24*time.Hour)
	for name, test := range map[string]struct {
		address string
		end     time.Time
		trusted bool
		hint    string
	}{
		"one of an authority that the location trusts": {"127.0.0.1", tomorrow, true, ""},
		"one of an unknown authority":                  {"127.0.0.1", tomorrow, false, "into ca_certificate"},
		"one that has expired":                         {"127.0.0.1", yesterday, true, "Renew the endpoint's certificate"},
		"one for another host":                         {"127.0.0.9", tomorrow, true, "name that the endpoint's certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certificate, certFile, keyFile := selfSigned(t, test.address, test.end)
			secure := start(t, s3server.Options{CertFile: certFile, KeyFile: keyFile})
			opts := s3.Options{
				Bucket: "secure", Region: "us-east-1", Endpoint: secure.Endpoint(), PathStyle: true,
				AccessKeyID: s3server.AccessKey, SecretAccessKey: s3server.SecretKey, Checksums: true,
			}
			require.NoError(t, secure.CreateBucket(context.Background(), opts.Bucket))
			if test.trusted {
				opts.CACertificate = certificate
			}
			store := open(t, opts)
			started := time.Now()
			err := store.Put(t.Context(), "key", strings.NewReader("content"), 7)
			if test.hint == "" {
				require.NoError(t, err)
				require.Equal(t, "content", string(read(t, store, "key")))
				return
			}
			require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%v", err)
			require.Contains(t, failure.HintOf(err), test.hint)
			require.Contains(t, err.Error(), "certificate")
			require.Less(t, time.Since(started), 10*time.Second, "it is not tried again")
		})
	}
}

func TestPlainHTTPToAServerWithTLSHintsAtIt(t *testing.T) {
	t.Parallel()
	_, certFile, keyFile := selfSigned(t, "127.0.0.1", time.Now().Add(time.Hour))
	secure := start(t, s3server.Options{CertFile: certFile, KeyFile: keyFile})
	opts := options(t, domain.StorageMinIO, secure, "some-bucket", "")
	require.True(t, strings.HasPrefix(opts.Endpoint, "http://"), "a server on this machine is taken for one without TLS")
	opts.Patience = time.Millisecond
	_, err := open(t, opts).Stat(t.Context(), "key")
	// The server hangs up without a word, so nobody can know.
	require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%v", err)
	require.Contains(t, failure.HintOf(err), "http or https")
}
