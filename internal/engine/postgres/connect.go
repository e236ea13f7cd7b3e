package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const (
	// connectTimeout bounds one attempt to connect, for us and for the client tools.
	connectTimeout = 15 * time.Second
	// closeTimeout bounds the goodbye of a connection, and cleanUpTimeout a clean-up that goes on
	// after the work was cancelled.
	closeTimeout   = 5 * time.Second
	cleanUpTimeout = 60 * time.Second
	appName        = "dataguardian"
	// anyDatabase is what a connection is made to that is about the server, not about a database.
	anyDatabase = "postgres"
)

// connect opens one connection to a database of the datasource's server; "" is the one that every
// server has.
func connect(ctx context.Context, src engine.Source, database string) (*pgx.Conn, error) {
	if database == "" {
		database = anyDatabase
	}
	connConfig, err := connectionConfig(src, database)
	if err != nil {
		return nil, err
	}
	op := fmt.Sprintf("connect to database %q on %s", database, address(src.Config))
	conn, err := pgx.ConnectConfig(ctx, connConfig)
	if err != nil {
		return nil, classifyConnect(ctx, op, err)
	}
	return conn, nil
}

// connectionConfig takes everything from src and nothing from the worker's environment: every
// field that a PG* variable could have set is set again.
func connectionConfig(src engine.Source, database string) (*pgx.ConnConfig, error) {
	cfg := src.Config
	parsed, err := pgx.ParseConfig("host=localhost sslmode=disable")
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, "prepare the connection", err, "Unset the PG* variables in the worker's environment.")
	}
	if cfg.Port < 1 || cfg.Port > 65535 {
		return nil, failure.New(failure.ConfigInvalid, "prepare the connection", fmt.Sprintf("port is %d", cfg.Port), "Give a port from 1 to 65535.")
	}
	parsed.Host, parsed.Port = cfg.Host, uint16(cfg.Port)
	if host, port, err := via(src); err != nil {
		return nil, err
	} else if host != "" {
		parsed.Port = port
		parsed.LookupFunc = func(context.Context, string) ([]string, error) { return []string{host}, nil }
	}
	parsed.Database, parsed.User, parsed.Password = database, cfg.Username, cfg.Password
	parsed.ConnectTimeout = connectTimeout
	parsed.Fallbacks = nil
	parsed.ValidateConnect = nil
	parsed.RuntimeParams = map[string]string{"application_name": appName}
	// Unnamed statements: a pooler in front of the server need not know them.
	parsed.DefaultQueryExecMode = pgx.QueryExecModeExec
	if parsed.TLSConfig, err = tlsConfig(cfg); err != nil {
		return nil, err
	}
	return parsed, nil
}

// via is where to connect to in place of the server itself; the host is an address, and "" if there is no such place.
func via(src engine.Source) (host string, port uint16, err error) {
	if src.Via == "" {
		return "", 0, nil
	}
	found, err := netip.ParseAddrPort(src.Via)
	return found.Addr().String(), found.Port(), failure.Wrap(failure.ConfigInvalid, "prepare the connection through a tunnel", err, "")
}

// tlsConfig means what libpq means by the same words: require takes any certificate unless a CA is
// given, verify-ca checks the chain, verify-full the host name too. A Unix socket has no TLS.
func tlsConfig(cfg domain.ConnectionConfig) (*tls.Config, error) {
	if cfg.SSLMode == domain.SSLDisable || cfg.SSLMode == "" || strings.HasPrefix(cfg.Host, "/") {
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

// closeConn says goodbye even when the work's context has ended.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx) // nothing is lost: every statement was answered
}

// address is host and port as people write them.
func address(cfg domain.ConnectionConfig) string {
	return net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
}

// version is a server's version.
type version struct {
	text string // "15.18"
	num  int    // 150018
}

func (v version) major() int { return v.num / 10000 }

func serverVersion(ctx context.Context, conn *pgx.Conn) (version, error) {
	var text, num string
	err := conn.QueryRow(ctx, "select current_setting('server_version'), current_setting('server_version_num')").Scan(&text, &num)
	if err != nil {
		return version{}, classify("ask for the server's version", err)
	}
	number, err := strconv.Atoi(num)
	if err != nil {
		return version{}, failure.Wrap(failure.Unsupported, "read the server's version", err, "")
	}
	text, _, _ = strings.Cut(text, " ")
	return version{text: text, num: number}, nil
}
