package sqlserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const (
	// connectTimeout bounds one attempt to connect and log in.
	connectTimeout = 15 * time.Second
	// cleanUpTimeout bounds a clean-up that goes on after the work was cancelled.
	cleanUpTimeout = 60 * time.Second
	// cancelGrace is how long the server has to confirm a cancellation before the connection is cut.
	cancelGrace = 20 * time.Second
	appName     = "dataguardian"
	// anyDatabase is what a connection is made to that is about the server, not about a database.
	anyDatabase = "master"
)

// session is one connection to the server.
type session struct {
	*sql.Conn
	db     *sql.DB
	dialer *dialer
	src    engine.Source
}

// connect opens one connection to a database of the server; "" is the one that every server has.
func connect(ctx context.Context, src engine.Source, database string) (*session, error) {
	return open(ctx, src, database, false)
}

func open(ctx context.Context, src engine.Source, database string, readOnly bool) (*session, error) {
	if database == "" {
		database = anyDatabase
	}
	config, err := connectionConfig(src, database)
	if err != nil {
		return nil, err
	}
	config.ReadOnlyIntent = readOnly
	op := fmt.Sprintf("connect to database %q on %s", database, net.JoinHostPort(src.Config.Host, strconv.Itoa(src.Config.Port)))
	dialer := &dialer{}
	connector := mssql.NewConnectorConfig(config)
	connector.Dialer = dialer
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	connecting, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	// The driver waits for a server that says nothing whether the context has ended or not.
	cut := context.AfterFunc(connecting, dialer.cut)
	conn, err := db.Conn(connecting)
	if !cut() && err == nil {
		_ = conn.Close()
		err = connecting.Err()
	}
	if err != nil {
		_ = db.Close()
		return nil, classifyConnect(ctx, op, err)
	}
	return &session{Conn: conn, db: db, dialer: dialer, src: src}, nil
}

// close ends the connection, and with it what the server still does for it.
func (s *session) close() {
	_ = s.Conn.Close() // nothing is lost: every statement was answered
	_ = s.db.Close()
}

// connectionConfig takes everything from the datasource and nothing from the worker's environment.
func connectionConfig(src engine.Source, database string) (msdsn.Config, error) {
	cfg := src.Config
	host, port := cfg.Host, cfg.Port
	if src.Via != "" {
		name, number, err := net.SplitHostPort(src.Via)
		if err == nil {
			port, err = strconv.Atoi(number)
		}
		if err != nil {
			return msdsn.Config{}, failure.Wrap(failure.ConfigInvalid, "prepare the connection", err, "")
		}
		host = name
	}
	if port < 1 || port > 65535 {
		return msdsn.Config{}, failure.New(failure.ConfigInvalid, "prepare the connection", fmt.Sprintf("port is %d", port), "Give a port from 1 to 65535.")
	}
	config := msdsn.Config{
		Host: host, Port: uint64(port), Database: database, User: cfg.Username, Password: cfg.Password,
		AppName: appName, Protocols: []string{"tcp"}, DialTimeout: connectTimeout, KeepAlive: 30 * time.Second,
		DisableRetry: true, HostInCertificateProvided: true, Encryption: msdsn.EncryptionDisabled,
	}
	if cfg.SSLMode == domain.SSLDisable || cfg.SSLMode == "" {
		return config, nil
	}
	var err error
	config.Encryption = msdsn.EncryptionRequired
	config.TLSConfig, err = tlsConfig(cfg)
	return config, err
}

// tlsConfig means what libpq means by the same words: require takes any certificate unless a CA is
// given, verify-ca checks the chain, verify-full the host name too.
func tlsConfig(cfg domain.ConnectionConfig) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.Host, DynamicRecordSizingDisabled: true}
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

// dialer keeps the connection, so that it can be cut when the driver would wait for ever.
type dialer struct {
	mu    sync.Mutex
	conn  net.Conn
	ended bool
}

// HostName makes the driver leave the look-up of names to DialContext, which obeys the context.
func (d *dialer) HostName() string { return "" }

func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		_ = conn.Close()
		return nil, context.Canceled
	}
	d.conn = conn
	return conn, nil
}

func (d *dialer) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.conn != nil {
		_ = d.conn.Close()
	}
}

// execute runs one statement. The server is told when ctx ends; if it does not answer that, the
// connection is cut.
func (s *session) execute(ctx context.Context, op, statement string) error {
	stop := s.cutAfter(ctx)
	defer stop()
	_, err := s.ExecContext(ctx, statement)
	if err != nil && ctx.Err() != nil {
		return failure.Wrap(failure.ClassOf(ctx.Err()), op, ctx.Err(), "")
	}
	return classify(op, err)
}

// cutAfter cuts the connection some time after ctx ended, unless stop is called before.
func (s *session) cutAfter(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		select {
		case <-done:
		case <-time.After(cancelGrace):
			s.dialer.cut()
		}
	})
	return func() { close(done); unwatch() }
}

// version is a server's version.
type version struct {
	text  string // "16.0.4135.4"
	major int    // 16 is SQL Server 2022
	azure bool   // Azure SQL, which writes no backups into directories
}

func (s *session) version(ctx context.Context) (version, error) {
	var v version
	var edition int
	err := s.QueryRowContext(ctx, "SELECT CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')), CONVERT(int, SERVERPROPERTY('EngineEdition'))").
		Scan(&v.text, &edition)
	if err != nil {
		return v, classify("ask for the server's version", err)
	}
	v.major, v.azure = majorOf(v.text), edition == 5 || edition == 8
	return v, nil
}

// majorOf is the first number of a version, 0 unknown.
func majorOf(text string) int {
	first, _, _ := strings.Cut(text, ".")
	major, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return major
}

// detached is a context for cleaning up after ctx has ended.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
