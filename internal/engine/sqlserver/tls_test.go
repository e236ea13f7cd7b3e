package sqlserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver/tdsserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// selfSigned is a certificate for a name, and it as PEM.
func selfSigned(t *testing.T, name string) (*tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestSSLModesMeanWhatTheyMeanElsewhere(t *testing.T) {
	certificate, own := selfSigned(t, "sql.example.com")
	_, foreign := selfSigned(t, "sql.example.com")
	for name, test := range map[string]struct {
		mode  domain.SSLMode
		host  string
		ca    string
		plain bool // the server has no TLS
		class failure.Class
	}{
		"disable needs no TLS":                      {domain.SSLDisable, "127.0.0.1", "", true, ""},
		"disable goes without":                      {domain.SSLDisable, "127.0.0.1", "", false, ""},
		"require takes any certificate":             {domain.SSLRequire, "127.0.0.1", "", false, ""},
		"require with a CA checks it":               {domain.SSLRequire, "127.0.0.1", foreign, false, failure.ConfigInvalid},
		"require refuses a server without":          {domain.SSLRequire, "127.0.0.1", "", true, failure.ConfigInvalid},
		"verify-ca checks the chain":                {domain.SSLVerifyCA, "127.0.0.1", foreign, false, failure.ConfigInvalid},
		"verify-ca does not check the name":         {domain.SSLVerifyCA, "127.0.0.1", own, false, ""},
		"verify-full checks the name":               {domain.SSLVerifyFull, "127.0.0.1", own, false, failure.ConfigInvalid},
		"verify-full checks it also in a tunnel":    {domain.SSLVerifyFull, "other.example.com", own, false, failure.ConfigInvalid},
		"verify-full finds the name, in a tunnel":   {domain.SSLVerifyFull, "sql.example.com", own, false, ""},
		"verify-full checks the chain, in a tunnel": {domain.SSLVerifyFull, "sql.example.com", foreign, false, failure.ConfigInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			options := tdsserver.Options{Certificate: certificate}
			if test.plain {
				options.Certificate = nil
			}
			s := newSite(t, options)
			src := s.source(sampleName)
			src.Config.SSLMode, src.Config.CACertificate, src.Config.Host = test.mode, test.ca, test.host
			if test.host != "127.0.0.1" { // nobody resolves it
				src.Via, src.Config.Port = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.server.Port())), 1433
			}
			_, err := s.engine.Probe(enginetest.Context(t), src)
			if test.class == "" {
				require.NoError(t, err)
				_, _ = enginetest.Dump(t, s.engine, src, engine.DumpOptions{})
				return
			}
			enginetest.RequireClass(t, test.class, err)
			require.Contains(t, failure.HintOf(err), "ssl_mode")
			require.NotContains(t, failure.Message(err), tdsserver.Password)
		})
	}
}

// A server that accepts connections and says nothing must not hold a worker for ever.
func TestAServerThatSaysNothingIsLeftWhenTheContextEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	s := newSite(t, tdsserver.Options{})
	src := s.source(sampleName)
	src.Config.Port = listener.Addr().(*net.TCPAddr).Port
	ctx, cancel := contextFor(t, 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = s.engine.Probe(ctx, src)
	enginetest.RequireClass(t, failure.Timeout, err)
	require.Less(t, time.Since(start), 5*time.Second)
}
