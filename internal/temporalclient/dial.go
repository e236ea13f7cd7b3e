// Package temporalclient connects to a Temporal service, our embedded one or somebody else's, and
// makes sure that the namespace has what our workflows use.
package temporalclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// TLS says how to secure the connection. The zero value is a plain connection, unless an API key
// is given: an API key is never sent in the clear.
type TLS struct {
	CertFile   string // PEM file of the client certificate; needs KeyFile
	KeyFile    string // PEM file of the client's private key
	CAFile     string // PEM file of the authorities that sign the server; "" is the system's
	ServerName string // name the server's certificate must have; "" is the host of the address
}

// Options name the service to connect to. The API key is a secret: it goes into the connection
// and nowhere else.
type Options struct {
	Address   string // host:port of the frontend
	Namespace string
	TLS       TLS
	APIKey    string
	Logger    *slog.Logger // nil is silent
}

// Dial connects and asks the service for its capabilities, so that a wrong address, certificate or
// key is an error now. It tries as long as ctx allows; the caller closes the client.
func Dial(ctx context.Context, opts Options) (client.Client, error) {
	const op = "connect to Temporal"
	tlsConfig, err := opts.TLS.config(opts.APIKey != "")
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, op, err, "Check the TEMPORAL_TLS_* settings.")
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	options := client.Options{
		HostPort:          opts.Address,
		Namespace:         opts.Namespace,
		ConnectionOptions: client.ConnectionOptions{TLS: tlsConfig, DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(schedule.KeepState)}},
		Logger:            sdklog.NewStructuredLogger(opts.Logger.With("component", "temporal-sdk")),
	}
	if opts.APIKey != "" {
		options.Credentials = client.NewAPIKeyStaticCredentials(opts.APIKey)
	}
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, classify(op+" at "+opts.Address, err)
	}
	return c, nil
}

// config builds the TLS configuration; nil is a plain connection.
func (t TLS) config(required bool) (*tls.Config, error) {
	if t == (TLS{}) && !required {
		return nil, nil //nolint:nilnil // nil is how the SDK spells "no TLS"
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("a client certificate needs both its certificate file and its key file")
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("load the client certificate %s: %w", t.CertFile, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificate authorities: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", t.CAFile)
		}
	}
	return config, nil
}

// classify turns an error of the Temporal service into one of ours.
func classify(op string, err error) error {
	var (
		denied   *serviceerror.PermissionDenied
		notFound *serviceerror.NamespaceNotFound
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &denied):
		return failure.Wrap(failure.AuthFailed, op, err, "Check TEMPORAL_API_KEY or the client certificate, and that it may use the namespace.")
	case errors.As(err, &notFound):
		return failure.Wrap(failure.NotFound, op, err, "Create the namespace, or set TEMPORAL_NAMESPACE to one that exists.")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return failure.Wrap(failure.ClassOf(err), op, err, "")
	default:
		return failure.Wrap(failure.Unreachable, op, err, "Check TEMPORAL_ADDRESS and the TEMPORAL_TLS_* settings, and that the Temporal service is running.")
	}
}
