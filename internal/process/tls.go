package process

import (
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// certificateCheck is how often at most the files of a certificate are looked at.
const certificateCheck = time.Second

// certificate is a TLS certificate whose files may be replaced while it is served.
type certificate struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	stamp   [2]stamp // of the files that pair was read from
	checked time.Time
}

// stamp tells one content of a file from another.
type stamp struct {
	modified time.Time
	size     int64
}

// ListenTLS makes a listener speak TLS 1.2 or later with a certificate and key in PEM. A renewed
// certificate is taken within a second of the next connection; files that do not fit each other are
// logged, and the one before is served on. Without files the listener is returned as it is. Errors:
// ConfigInvalid.
func ListenTLS(listener net.Listener, certFile, keyFile string, logger *slog.Logger) (net.Listener, error) {
	if certFile == "" && keyFile == "" {
		return listener, nil
	}
	c := &certificate{certFile: certFile, keyFile: keyFile, logger: logger}
	if err := c.load(); err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, "read the certificate of the API", err,
			"Give a certificate (with its chain) and its key, both in PEM, with DATAGUARDIAN_TLS_CERT and DATAGUARDIAN_TLS_KEY.")
	}
	return tls.NewListener(listener, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil },
	}), nil
}

// load reads both files. The stamps are taken before: a file that changes meanwhile is read again.
func (c *certificate) load() error {
	stamps := c.stamps()
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.pair, c.stamp = &pair, stamps
	return nil
}

func (c *certificate) stamps() (out [2]stamp) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			out[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return out
}

func (c *certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) < certificateCheck {
		return c.pair
	}
	c.checked = time.Now()
	if c.stamps() == c.stamp {
		return c.pair
	}
	if err := c.load(); err != nil {
		c.logger.Error("the renewed certificate of the API can not be read; the one before is served on", "error", err)
		return c.pair
	}
	c.logger.Info("the renewed certificate of the API is served")
	return c.pair
}
