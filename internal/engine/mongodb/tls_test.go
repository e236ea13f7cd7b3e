package mongodb_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongodbserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// certificate makes a certificate that signs itself, for db.example, and its files.
func certificate(t *testing.T) (text, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "db.example"}, DNSNames: []string{"db.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(certFile, encoded, 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyBytes}), 0o600))
	return string(encoded), certFile, keyFile
}

// A tunnel's near end has another name than the server, which the certificate is for.
func TestCertificatesAreCheckedForTheServersNameThroughATunnel(t *testing.T) {
	text, certFile, keyFile := certificate(t)
	other, _, _ := certificate(t)
	secure, err := mongodbserver.Start(context.Background(), mongodbserver.Options{Dir: t.TempDir(), CertFile: certFile, KeyFile: keyFile})
	require.NoError(t, err)
	defer secure.Stop()
	via := fmt.Sprintf("127.0.0.1:%d", secure.Port)
	src := source("guarded")
	src.Via, src.Config.Host, src.Config.Port = via, "db.example", 27017
	src.Config.SSLMode, src.Config.CACertificate = domain.SSLVerifyFull, text
	fill(t, secure.Port)

	for name, test := range map[string]struct {
		change func(*domain.ConnectionConfig)
		fails  bool
	}{
		"verify-full":                  {func(*domain.ConnectionConfig) {}, false},
		"verify-full for another name": {func(c *domain.ConnectionConfig) { c.Host = "other.example" }, true},
		"verify-full with another CA":  {func(c *domain.ConnectionConfig) { c.CACertificate = other }, true},
		"verify-ca for another name":   {func(c *domain.ConnectionConfig) { c.Host, c.SSLMode = "other.example", domain.SSLVerifyCA }, false},
		"verify-ca with another CA":    {func(c *domain.ConnectionConfig) { c.CACertificate, c.SSLMode = other, domain.SSLVerifyCA }, true},
		"require, which checks nothing": {func(c *domain.ConnectionConfig) {
			c.Host, c.SSLMode, c.CACertificate = "other.example", domain.SSLRequire, ""
		}, false},
		"a URI with its own ca_certificate": {func(c *domain.ConnectionConfig) {
			byURI(c, secure.Port, "tlsAllowInvalidHostnames=false")
			c.CACertificate = other
		}, true},
		"a URI with the server's own CA": {func(c *domain.ConnectionConfig) {
			byURI(c, secure.Port, "tlsAllowInvalidHostnames=false")
			c.CACertificate = text
		}, false},
		"a URI that asks for no check at all": {func(c *domain.ConnectionConfig) { byURI(c, secure.Port, "tlsInsecure=true") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			src := src
			test.change(&src.Config)
			if src.Config.URI != "" {
				src.Via = ""
			}
			archive, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{})
			if test.fails {
				enginetest.RequireClass(t, failure.ConfigInvalid, err)
				require.Contains(t, failure.HintOf(err), "ca_certificate")
				return
			}
			require.NoError(t, err)
			enginetest.Restore(t, newEngine(), src, func() engine.StageRequest {
				req := archive.Request("dddd0001", "guarded")
				req.DropExisting = true
				return req
			}(), archive.Opener())
		})
	}
}

func byURI(c *domain.ConnectionConfig, port int, option string) {
	*c = domain.ConnectionConfig{
		Database: c.Database, AuthSource: "admin",
		URI: fmt.Sprintf("mongodb://%s:p%%40ss%%3Aw%%2Frd%%25%%3F%%23@127.0.0.1:%d/?directConnection=true&tls=true&%s", mongodbserver.Username, port, option),
	}
}

func fill(t *testing.T, port int) {
	t.Helper()
	ctx := context.Background()
	client, err := mongo.Connect(ctx, options.Client().
		ApplyURI(fmt.Sprintf("mongodb://127.0.0.1:%d/?directConnection=true&tls=true&tlsInsecure=true", port)).
		SetAuth(options.Credential{Username: mongodbserver.Username, Password: mongodbserver.Password, PasswordSet: true, AuthSource: "admin"}))
	require.NoError(t, err)
	defer func() { _ = client.Disconnect(ctx) }()
	insert(t, client.Database("guarded"), "a", bson.D{{Key: "_id", Value: 1}})
}
