package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// Time limits of a connection. A request as a whole has none: a large object on a slow line takes
// what it takes, as long as bytes move.
const (
	connectTimeout = 10 * time.Second
	writeStall     = time.Minute     // no byte could be sent
	readStall      = 5 * time.Minute // no byte came, for example while the service copies an object
)

const (
	connections      = 128 // kept open: 64 uploads, parts and reads beside them
	connectionBuffer = 256 << 10
)

func newClient(opts Options, transport *http.Transport, provider aws.CredentialsProvider) *s3.Client {
	o := s3.Options{
		Region: opts.Region, Credentials: provider, UsePathStyle: opts.PathStyle,
		HTTPClient: &http.Client{Transport: transport, CheckRedirect: checkRedirect},
		// Checksums are chosen here, request by request; what was read is checked by whoever reads it.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	}
	if opts.Endpoint != "" {
		o.BaseEndpoint = aws.String(opts.Endpoint)
	}
	return s3.New(o)
}

// checkRedirect follows what S3 means to be followed. A permanent redirect says that the region is
// wrong, and its body says which one is right.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if r.Response != nil && len(via) < 3 {
		switch r.Response.StatusCode {
		case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			return nil
		}
	}
	return http.ErrUseLastResponse
}

// newCredentials gives the location's own keys, or finds those of the surroundings: environment,
// shared profile, web identity, container or instance role.
func newCredentials(ctx context.Context, opts Options) (aws.CredentialsProvider, error) {
	if opts.AccessKeyID != "" {
		return aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(opts.AccessKeyID, opts.SecretAccessKey, "")), nil
	}
	found, err := config.LoadDefaultConfig(ctx, config.WithRegion(opts.Region))
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, "read the worker's AWS configuration", err,
			"Correct the worker's AWS configuration files and environment, or give the storage location keys of its own.")
	}
	return found.Credentials, nil
}

func newTransport(opts Options) (*http.Transport, error) {
	authorities, err := trusted(opts.CACertificate)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{
		Timeout:         connectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 10 * time.Second, Count: 4},
	}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &stallConn{conn}, nil
		},
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities},
		TLSHandshakeTimeout:   connectTimeout,
		ExpectContinueTimeout: time.Second,
		MaxIdleConns:          connections,
		MaxIdleConnsPerHost:   connections,
		IdleConnTimeout:       time.Minute,
		WriteBufferSize:       connectionBuffer,
		ReadBufferSize:        connectionBuffer,
		DisableCompression:    true, // an object is given back as it was stored
		// Many HTTP/1.1 connections are faster for bodies than one of HTTP/2, and what S3 services are made for.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}, nil
}

func trusted(pem string) (*x509.CertPool, error) {
	if pem == "" {
		return nil, nil //nolint:nilnil // no pool means the system's
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, "read the system's certificates", err, "Install the ca-certificates package on the worker.")
	}
	if !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, failure.New(failure.ConfigInvalid, "read ca_certificate", "there is no certificate in it",
			"Paste the PEM file that begins with -----BEGIN CERTIFICATE-----.")
	}
	return pool, nil
}

// stallConn fails when nothing moves any more: a peer that vanished without a word would hold an
// upload for ever.
type stallConn struct{ net.Conn }

// Read waits for at most readStall.
func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(readStall)); err != nil {
		return 0, fmt.Errorf("set a deadline: %w", err)
	}
	return c.Conn.Read(p)
}

// Write waits for at most writeStall.
func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeStall)); err != nil {
		return 0, fmt.Errorf("set a deadline: %w", err)
	}
	n, err := c.Conn.Write(p)
	if err == nil {
		// The transport has waited for the answer since before the upload: what is sent is a sign of life.
		err = c.SetReadDeadline(time.Now().Add(readStall))
	}
	return n, err
}
