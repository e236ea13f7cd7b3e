package mysql_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/mysql/mariadbserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// certify writes a certificate for db.example.com into dir and returns it; it is its own authority.
func certify(t *testing.T, dir string) (certificate string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "db.example.com"}, DNSNames: []string{"db.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), []byte(certificate), 0o644))                                               //nolint:gosec // the server's user reads it
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o644)) //nolint:gosec // see above
	return certificate
}

func TestEverySSLModeHoldsForTheToolsToo(t *testing.T) {
	dir, err := os.MkdirTemp("", "dataguardian-tls-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	ours, theirs := certify(t, dir), certify(t, t.TempDir())
	secured, err := mariadbserver.Start(enginetest.Context(t), dir, "--ssl-cert="+dir+"/cert.pem", "--ssl-key="+dir+"/key.pem")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, secured.Stop()) })
	db := secured.Open("")
	defer db.Close()
	for _, statement := range []string{
		"CREATE DATABASE sealed", "CREATE TABLE sealed.t (n int)", "INSERT INTO sealed.t VALUES (42)",
		"CREATE USER careful@'%' IDENTIFIED BY 'c@re \"ful\\\\ #1' REQUIRE SSL", "GRANT ALL ON *.* TO careful@'%'",
	} {
		_, err := db.Exec(statement)
		require.NoError(t, err)
	}
	for name, test := range map[string]struct {
		host, ca string
		via      bool
		mode     domain.SSLMode
		refused  failure.Class
	}{
		"disable":                          {host: "127.0.0.1", mode: domain.SSLDisable, refused: failure.AuthFailed},
		"require":                          {host: "127.0.0.1", mode: domain.SSLRequire},
		"verify-ca":                        {host: "127.0.0.1", ca: ours, mode: domain.SSLVerifyCA},
		"verify-ca with another authority": {host: "127.0.0.1", ca: theirs, mode: domain.SSLVerifyCA, refused: failure.ConfigInvalid},
		"verify-full of another name":      {host: "127.0.0.1", ca: ours, mode: domain.SSLVerifyFull, refused: failure.ConfigInvalid},
		"verify-full through a tunnel":     {host: "db.example.com", via: true, ca: ours, mode: domain.SSLVerifyFull},
		"verify-full through a tunnel to somebody else's": {host: "other.example.com", via: true, ca: ours, mode: domain.SSLVerifyFull, refused: failure.ConfigInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			src := sourceOn(secured, "sealed")
			src.Config.Host, src.Config.SSLMode, src.Config.CACertificate = test.host, test.mode, test.ca
			src.Config.Username, src.Config.Password = "careful", `c@re "ful\ #1`
			if test.via {
				src.Via = sourceAddress(secured)
			}
			_, err := newEngine().Probe(enginetest.Context(t), src)
			archive, _, dumpErr := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{})
			if test.refused != "" {
				enginetest.RequireClass(t, test.refused, err)
				enginetest.RequireClass(t, test.refused, dumpErr)
				return
			}
			require.NoError(t, err)
			require.NoError(t, dumpErr)
			req := archive.Request("eeee0001", "sealed")
			req.DropExisting = true
			enginetest.Restore(t, newEngine(), src, req, archive.Opener())
			var n int
			require.NoError(t, db.QueryRow("select n from sealed.t").Scan(&n))
			require.Equal(t, 42, n)
		})
	}
	t.Run("a server without TLS is not talked to in clear", func(t *testing.T) {
		src := source("mysql")
		src.Config.SSLMode = domain.SSLRequire
		_, err := newEngine().Probe(enginetest.Context(t), src)
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
	})
	t.Run("a Unix socket", func(t *testing.T) {
		src := sourceOn(secured, "sealed")
		src.Config.Host = secured.SocketDir
		archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
		require.NotEmpty(t, archive.Bytes)
	})
}
