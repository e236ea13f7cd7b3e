// Package outbound makes HTTP requests to addresses that users of the platform typed in. Whoever may
// configure such an address must not reach with it what only the worker can: redirects are not
// followed, and addresses of the link and of cloud metadata services are refused.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// ErrForbiddenAddress is the cause of a refusal to connect.
var ErrForbiddenAddress = errors.New("it is the address of the link or of a metadata service, which is refused")

// metadata are services of clouds that are not on the link, from which a machine gets its credentials.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("168.63.129.16"),   // Azure
}

// Options say how a client differs from the usual one.
type Options struct {
	Timeout        time.Duration  // from the first packet to the last byte of the answer
	AllowLinkLocal bool           // somebody who may decide that wants such an address
	RootCAs        *x509.CertPool // nil: the system's
}

// Client makes requests that take at most timeout, from the first packet to the last byte of the answer.
func Client(timeout time.Duration) *http.Client { return New(Options{Timeout: timeout}) }

// New makes a client.
func New(o Options) *http.Client {
	return &http.Client{
		Timeout: o.Timeout,
		Transport: &http.Transport{
			DialContext:            Dialer(o).DialContext, // no proxy of the worker's environment
			DisableKeepAlives:      true,
			TLSHandshakeTimeout:    o.Timeout,
			TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
			ResponseHeaderTimeout:  o.Timeout,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Dialer makes connections, for what is not HTTP, with the same refusals.
func Dialer(o Options) *net.Dialer {
	dialer := &net.Dialer{Timeout: o.Timeout}
	if !o.AllowLinkLocal {
		dialer.ControlContext = refuseForbidden
	}
	return dialer
}

// nat64 is the prefix under which a network may translate to IPv4 (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// embedded is the IPv4 address that an IPv6 one stands for, else the address itself.
func embedded(ip netip.Addr) netip.Addr {
	if ip = ip.Unmap(); nat64.Contains(ip.WithZone("")) {
		all := ip.As16()
		return netip.AddrFrom4([4]byte(all[12:]))
	}
	return ip
}

// refuseForbidden looks at the address itself, after the name was resolved.
func refuseForbidden(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := embedded(at.Addr())
	if ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
		return fmt.Errorf("connect to %s: %w", ip, ErrForbiddenAddress)
	}
	for _, service := range metadata {
		if ip.WithZone("") == service {
			return fmt.Errorf("connect to %s: %w", ip, ErrForbiddenAddress)
		}
	}
	return nil
}
