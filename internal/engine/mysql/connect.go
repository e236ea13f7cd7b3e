package mysql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const (
	// connectTimeout bounds one attempt to connect.
	connectTimeout = 15 * time.Second
	// cleanUpTimeout bounds a clean-up that goes on after the work was cancelled.
	cleanUpTimeout = 60 * time.Second
	appName        = "dataguardian"
)

// session is one connection to a server.
type session struct {
	db      *sql.DB
	conn    *sql.Conn
	version version
}

// connect opens one connection; database "" is none.
func connect(ctx context.Context, src engine.Source, database string) (*session, error) {
	return connectWith(ctx, src, database, func(*driver.Config) {})
}

// connectBounded is connect for an answer that may be of any size; exceeded tells that it was too large.
func connectBounded(ctx context.Context, src engine.Source, database string) (s *session, exceeded *atomic.Bool, err error) {
	s, err = connectWith(ctx, src, database, func(c *driver.Config) { exceeded = bound(c) })
	return s, exceeded, err
}

func connectWith(ctx context.Context, src engine.Source, database string, change func(*driver.Config)) (*session, error) {
	op := fmt.Sprintf("connect to database %q on %s", database, address(src.Config))
	if database == "" {
		op = "connect to " + address(src.Config)
	}
	config, err := driverConfig(src, database)
	if err != nil {
		return nil, err
	}
	change(config)
	connector, err := driver.NewConnector(config)
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, op, err, "")
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(0) // a connection that is let go ends
	conn, err := db.Conn(ctx)
	if err != nil {
		_ = db.Close()
		return nil, classifyConnect(ctx, op, err)
	}
	s := &session{db: db, conn: conn}
	text, err := queryOne[string](ctx, s, "select version()")
	if err != nil {
		s.close()
		return nil, classifyConnect(ctx, op, err)
	}
	s.version = parseVersion(text)
	return s, nil
}

func (s *session) close() {
	_, _ = s.conn.Close(), s.db.Close() // nothing is lost: every statement was answered
}

// endpoint is where a source is reached: a network of package net and an address on it.
func endpoint(src engine.Source) (network, at string) {
	switch {
	case src.Via != "":
		return "tcp", src.Via
	case strings.HasPrefix(src.Config.Host, "/"):
		return "unix", socketPath(src.Config.Host)
	}
	return "tcp", net.JoinHostPort(src.Config.Host, strconv.Itoa(src.Config.Port))
}

// socketNames are what distributions call the server's socket.
var socketNames = []string{"mysqld.sock", "mysql.sock", "mariadb.sock"}

// socketPath finds the server's socket in a directory; a path that is no directory is the socket itself.
func socketPath(host string) string {
	if info, err := os.Stat(host); err != nil || !info.IsDir() {
		return host
	}
	for _, name := range socketNames {
		path := filepath.Join(host, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
			return path
		}
	}
	return filepath.Join(host, socketNames[0])
}

// dial connects to the source, without TLS.
func dial(ctx context.Context, src engine.Source) (net.Conn, error) {
	network, at := endpoint(src)
	dialer := net.Dialer{Timeout: connectTimeout}
	return dialer.DialContext(ctx, network, at)
}

func driverConfig(src engine.Source, database string) (*driver.Config, error) {
	secured, err := tlsConfig(src.Config)
	if err != nil {
		return nil, err
	}
	c := driver.NewConfig()
	c.User, c.Passwd, c.DBName = src.Config.Username, src.Config.Password, database
	c.Net, c.Addr = endpoint(src)
	c.TLS = secured
	c.Timeout = connectTimeout
	c.Collation = "utf8mb4_general_ci" // known to every version
	c.InterpolateParams = true
	// A password in clear text is for servers behind PAM or LDAP, over a connection that is protected.
	c.AllowCleartextPasswords = secured != nil
	c.Logger = silent{}
	c.ConnectionAttributes = "program_name:" + appName
	c.Params = map[string]string{"sql_mode": "''"} // ours, not the server's; identifiers and literals are quoted for it
	return c, nil
}

// silent keeps the driver from writing to standard error: what it has to say is in its errors.
type silent struct{}

func (silent) Print(...any) {}

// encrypted reports whether a connection with this configuration has TLS. A Unix socket has none.
func encrypted(cfg domain.ConnectionConfig) bool {
	return cfg.SSLMode != domain.SSLDisable && cfg.SSLMode != "" && !strings.HasPrefix(cfg.Host, "/")
}

// tlsConfig means what the words mean for postgres too: require takes any certificate unless a CA is
// given, verify-ca checks the chain, verify-full the name of Config.Host too, whatever the source is reached
// through. nil is no TLS.
func tlsConfig(cfg domain.ConnectionConfig) (*tls.Config, error) {
	if !encrypted(cfg) {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.Host}
	if cfg.CACertificate != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(cfg.CACertificate)) {
			return nil, failure.New(failure.ConfigInvalid, "read ca_certificate", "it holds no PEM certificate", "Paste the file that begins with -----BEGIN CERTIFICATE-----.")
		}
	}
	switch {
	case cfg.SSLMode == domain.SSLVerifyFull:
	case config.RootCAs == nil && cfg.SSLMode == domain.SSLRequire:
		config.InsecureSkipVerify = true //nolint:gosec // what ssl_mode require means
	default:
		config.InsecureSkipVerify = true //nolint:gosec // the chain is checked here, without the host name
		config.VerifyConnection = func(state tls.ConnectionState) error { return verifyChain(state, config.RootCAs) }
	}
	return config, nil
}

func verifyChain(state tls.ConnectionState, roots *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
	return err
}

// address is host and port as people write them.
func address(cfg domain.ConnectionConfig) string {
	if strings.HasPrefix(cfg.Host, "/") {
		return cfg.Host
	}
	return net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
}

// detached is a context for cleaning up after ctx has ended.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
}
