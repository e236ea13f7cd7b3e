package mongodb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// connectTimeout bounds finding and reaching a server, however long the work on it may take.
const connectTimeout = 15 * time.Second

// session is a connection to a server.
type session struct {
	*mongo.Client
	src engine.Source
}

// connect connects, logs in and asks the server once.
func connect(ctx context.Context, src engine.Source) (*session, error) {
	opts, err := clientOptions(src)
	if err != nil {
		return nil, err
	}
	if isDirect(src) {
		// The driver looks for a server until its time is up, even for one that is known not to be there.
		if err := knock(ctx, src); err != nil {
			return nil, classifyConnect(ctx, src, err)
		}
	}
	client, err := mongo.Connect(ctx, opts)
	if err != nil {
		return nil, classifyConnect(ctx, src, err)
	}
	s := &session{Client: client, src: src}
	if err := client.Ping(ctx, nil); err != nil {
		disconnect(s)
		return nil, classifyConnect(ctx, src, err)
	}
	return s, nil
}

// knock opens a connection as the datasource says and closes it.
func knock(ctx context.Context, src engine.Source) error {
	conn, err := dial(ctx, src)
	if err != nil {
		return err
	}
	_ = conn.Close() // the server may have closed it: nobody said anything
	return nil
}

// dial connects to the one server of a direct connection.
func dial(ctx context.Context, src engine.Source) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	target := src.Via
	if target == "" {
		target = address(src.Config)
	}
	if config := tlsConfig(src.Config); config != nil {
		return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", target)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", target)
}

func disconnect(s *session) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = s.Disconnect(ctx)
}

func clientOptions(src engine.Source) (*options.ClientOptions, error) {
	cfg := src.Config
	opts := options.Client().SetAppName("dataguardian").SetServerSelectionTimeout(connectTimeout).SetConnectTimeout(connectTimeout)
	if cfg.URI != "" {
		uri, err := plainURI(cfg)
		if err != nil {
			return nil, err
		}
		opts.ApplyURI(uri)
		if err := opts.Validate(); err != nil {
			// The driver's own words may repeat the URI.
			return nil, failure.New(failure.ConfigInvalid, "read the URI", "the MongoDB driver does not take it", "Check the options of the datasource's uri.")
		}
		if cfg.CACertificate != "" {
			config := opts.TLSConfig
			if config == nil {
				config = &tls.Config{MinVersion: tls.VersionTLS12}
			}
			config.RootCAs = pool(cfg.CACertificate)
			opts.SetTLSConfig(config)
		}
		return opts, nil
	}
	opts.SetHosts([]string{address(cfg)})
	if isDirect(src) {
		opts.SetDirect(true)
	} else {
		opts.SetReplicaSet(cfg.ReplicaSet)
	}
	if cfg.Username != "" {
		opts.SetAuth(options.Credential{Username: cfg.Username, Password: cfg.Password, PasswordSet: true, AuthSource: authSource(cfg)})
	}
	if config := tlsConfig(cfg); config != nil {
		if !isDirect(src) {
			config.ServerName = "" // the driver puts in that of each member
		}
		opts.SetTLSConfig(config)
	}
	if src.Via != "" {
		opts.SetDialer(viaDialer(src.Via))
	}
	return opts, nil
}

// isDirect reports whether there is one server to speak to: the other members of a replica set can not be
// reached through a tunnel.
func isDirect(src engine.Source) bool {
	return src.Config.URI == "" && (src.Config.ReplicaSet == "" || src.Via != "")
}

func address(cfg domain.ConnectionConfig) string {
	return net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
}

func authSource(cfg domain.ConnectionConfig) string {
	if cfg.AuthSource != "" {
		return cfg.AuthSource
	}
	return "admin"
}

// plainURI is the datasource's URI with its fields auth_source and replica_set, and without a database:
// that is only where a user is looked for, which auth_source says here.
func plainURI(cfg domain.ConnectionConfig) (string, error) {
	u, err := url.Parse(cfg.URI)
	if err != nil {
		return "", failure.New(failure.ConfigInvalid, "read the URI", "it is not a mongodb:// URI", "Check the datasource's uri.")
	}
	query := u.Query()
	source := cfg.AuthSource
	if source == "" && len(u.Path) > 1 {
		source = u.Path[1:]
	}
	// A user that is only in a certificate or a ticket has a place of its own.
	if source != "" && query.Get("authSource") == "" && u.User != nil {
		query.Set("authSource", source)
	}
	if cfg.ReplicaSet != "" && query.Get("replicaSet") == "" {
		query.Set("replicaSet", cfg.ReplicaSet)
	}
	u.Path, u.RawPath, u.RawQuery = "/", "", query.Encode()
	return u.String(), nil
}

// secretsOf are what must not be shown: also the password of a URI as it is spelled in plainURI.
func secretsOf(cfg domain.ConnectionConfig) []string {
	secrets := cfg.SecretValues()
	if u, err := url.Parse(cfg.URI); err == nil && u.User != nil {
		if _, spelled, given := strings.Cut(u.User.String(), ":"); given && spelled != "" {
			secrets = append(secrets, spelled)
		}
	}
	return secrets
}

// tlsConfig is nil without TLS. Certificates are checked for Host, also when a tunnel leads to it.
func tlsConfig(cfg domain.ConnectionConfig) *tls.Config {
	config := &tls.Config{ServerName: cfg.Host, MinVersion: tls.VersionTLS12}
	switch cfg.SSLMode {
	case domain.SSLVerifyFull:
		config.RootCAs = pool(cfg.CACertificate)
	case domain.SSLVerifyCA:
		roots := pool(cfg.CACertificate)
		config.InsecureSkipVerify = true // replaced by the check of the chain alone
		config.VerifyConnection = func(state tls.ConnectionState) error {
			others := x509.NewCertPool()
			for _, certificate := range state.PeerCertificates[1:] {
				others.AddCert(certificate)
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: others})
			if err != nil {
				return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
			}
			return nil
		}
	case domain.SSLRequire:
		config.InsecureSkipVerify = true // what the mode means: it keeps listeners out, not impostors
	default:
		return nil
	}
	return config
}

func pool(certificates string) *x509.CertPool {
	if certificates == "" {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(certificates))
	return roots
}

// viaDialer connects to the near end of a tunnel whatever it is asked for.
type viaDialer string

// DialContext implements options.ContextDialer.
func (v viaDialer) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", string(v))
}
