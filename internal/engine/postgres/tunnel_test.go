package postgres_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
	"github.com/dataguardian/dataguardian/internal/tunnel"
)

// tunnelName is a name of the test server that leads nowhere: whoever does not go through the tunnel fails.
const tunnelName = "db.invalid"

// throughTunnel is src as it is reached through a real bastion host.
func throughTunnel(t *testing.T, src engine.Source) engine.Source {
	t.Helper()
	opened, err := tunnel.Open(t.Context(), sshserver.Start(t, sshserver.Options{}).Tunnel(), "127.0.0.1", src.Config.Port)
	require.NoError(t, err)
	t.Cleanup(opened.Close)
	src.Config.Host, src.Config.Port, src.Via = tunnelName, 1, opened.Address()
	return src
}

func TestEveryStepGoesThroughATunnel(t *testing.T) {
	ownTemp(t)
	src := newLarge(t, "behind a bastion")
	far := throughTunnel(t, src)
	info, err := newEngine().Probe(enginetest.Context(t), far)
	require.NoError(t, err)
	require.NotEmpty(t, info.Version)
	estimate, err := newEngine().Estimate(enginetest.Context(t), far)
	require.NoError(t, err)
	require.Positive(t, estimate.Bytes)
	for name, jobs := range map[string]int{"by one job": 1, "by several": 3} {
		t.Run(name, func(t *testing.T) {
			archive, _ := enginetest.Dump(t, newEngine(), far, engine.DumpOptions{Jobs: jobs})
			target := fresh(t)
			req := archive.Request("abcd0001", target)
			report := enginetest.Restore(t, newEngine(), far, req, archive.Opener())
			require.GreaterOrEqual(t, report.Tables, sampleTables)
			require.Equal(t, content(t, src), content(t, in(src, target)))

			req.DropExisting = true // the one that is replaced is dropped over yet another connection
			enginetest.Restore(t, newEngine(), far, req, archive.Opener())
			_, err := newEngine().Stage(enginetest.Context(t), far, req, archive.Opener())
			require.NoError(t, err)
			require.NoError(t, newEngine().Discard(enginetest.Context(t), far, req))
		})
	}
	t.Run("all databases of the server", func(t *testing.T) {
		all := far
		all.Config.Database, all.Config.Databases = "", &domain.DatabaseSelection{All: true, Exclude: []string{"[^b]*"}}
		archive, _ := enginetest.Dump(t, wholeServer(t), all, engine.DumpOptions{})
		require.NotEmpty(t, archive.Others, "the roles, beside the database")
	})
}

func TestACertificateIsCheckedForTheServersNameBehindATunnel(t *testing.T) {
	certificate := serveTLS(t, tunnelName)
	far := throughTunnel(t, small(t, "tls behind a bastion"))
	far.Config.CACertificate = certificate
	for _, mode := range []domain.SSLMode{domain.SSLRequire, domain.SSLVerifyCA, domain.SSLVerifyFull} {
		far.Config.SSLMode = mode
		_, err := newEngine().Probe(enginetest.Context(t), far)
		require.NoError(t, err, mode)
	}
	// pg_dump, pg_restore and our own connections check it each.
	archive, _ := enginetest.Dump(t, newEngine(), far, engine.DumpOptions{})
	enginetest.Restore(t, newEngine(), far, archive.Request("abcd0002", fresh(t)), archive.Opener())

	far.Config.Host = "another.invalid"
	_, err := newEngine().Probe(enginetest.Context(t), far)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.ErrorContains(t, err, "another.invalid")
}

func TestAPlaceToConnectToThatIsNoneIsRefused(t *testing.T) {
	src := source(t, "postgres")
	src.Via = "nowhere"
	_, err := newEngine().Probe(enginetest.Context(t), src)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
}

// serveTLS has the test server offer TLS with a certificate for name, until the test ends.
func serveTLS(t *testing.T, name string) (certificate string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))

	postgres := source(t, "postgres")
	dir := queryStrings(t, postgres, "show data_directory")[0]
	owner, err := os.Stat(dir)
	require.NoError(t, err)
	for file, text := range map[string]string{
		"server.crt": certificate, "server.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	} {
		file = filepath.Join(dir, file)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		stat := owner.Sys().(*syscall.Stat_t)
		require.NoError(t, os.Chown(file, int(stat.Uid), int(stat.Gid)))
	}
	offer := func(ssl string) {
		execute(t, postgres, "ALTER SYSTEM SET ssl = "+ssl, "SELECT pg_reload_conf()")
		require.Eventually(t, func() bool { return queryStrings(t, postgres, "show ssl")[0] == ssl }, 2*time.Minute, 10*time.Millisecond)
	}
	offer("on")
	t.Cleanup(func() { offer("off") })
	return certificate
}
