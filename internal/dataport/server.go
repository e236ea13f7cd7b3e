package dataport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// maxTransfers is how many transfers a worker serves at the same time. Each holds some hundred kB, a
// folder's listing aside.
const maxTransfers = 16

// maxHeader bounds what is read before a ticket is looked at, in bytes. A ticket holds what is asked for: a path,
// or a statement of MaxBody.
const maxHeader = 192 << 10

// MaxBody is how long the body of a Request may be, in bytes, as JSON.
const MaxBody = 128 << 10

// Options are what a worker's port is made of.
type Options struct {
	Listen string // host:port; port 0 is any free one
	// URL is the address under which the API reaches the port; "" is Listen's host, or this machine's
	// first address where that is all of them.
	URL     string
	Key     Key
	Pools   []string // whose requests are served
	Sources map[string]Source
	Logger  *slog.Logger
}

// Server is a worker's data port.
type Server struct {
	opts  Options
	http  *http.Server
	gate  *gate
	slots chan struct{}
	offer Offer
	end   context.CancelFunc // of every transfer
}

// Serve opens the port. The certificate lives as long as the server does. Errors: ConfigInvalid for
// an address that can not be used.
func Serve(o Options) (*Server, error) {
	const op = "open the worker's data port"
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, op, err, "Choose another address with DATAGUARDIAN_DATA_LISTEN, or off for none.")
	}
	certificate, sum, err := newCertificate()
	if err == nil && o.URL == "" {
		o.URL, err = reachableAt(listener.Addr())
	}
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, op, errors.Join(err, listener.Close()), "Give the address under which the API reaches this worker as DATAGUARDIAN_DATA_URL.")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	ctx, end := context.WithCancel(context.Background())
	s := &Server{
		opts: o, gate: newGate(o.Key, sum), slots: make(chan struct{}, maxTransfers), end: end,
		offer: Offer{URL: o.URL, Certificate: sum},
	}
	s.offer.MAC = o.Key.sign(s.offer)
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       10 * time.Second,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
		// One connection for each transfer, so that TCP's flow control is that transfer's.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	secured := tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13})
	go func() {
		if err := s.http.Serve(secured); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("the worker's data port ended; downloads through this worker fail until it is restarted", "error", err)
		}
	}()
	return s, nil
}

// Offer tells the API where the port is.
func (s *Server) Offer() Offer { return s.offer }

// Stop takes no more transfers, lets those under way finish until ctx ends, and then breaks them off.
func (s *Server) Stop(ctx context.Context) {
	defer s.end()
	if err := s.http.Shutdown(ctx); err != nil {
		s.end()
		_ = s.http.Close()
	}
}

// reachableAt is the URL of a listener, with an address of this machine where it listens on all.
func reachableAt(address net.Addr) (string, error) {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return "", fmt.Errorf("%s is not a TCP address", address)
	}
	ip := tcp.IP
	if ip.IsUnspecified() {
		var err error
		if ip, err = firstAddress(); err != nil {
			return "", err
		}
	}
	u := url.URL{Scheme: "https", Host: net.JoinHostPort(ip.String(), strconv.Itoa(tcp.Port))}
	return u.String(), nil
}

// firstAddress is the first address of this machine that others may reach, IPv4 before IPv6. A name
// would have to be resolved where the API runs, which the host names of containers seldom are.
func firstAddress() (net.IP, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var six net.IP
	for _, a := range addresses {
		network, ok := a.(*net.IPNet)
		if !ok || !network.IP.IsGlobalUnicast() {
			continue
		}
		if network.IP.To4() != nil {
			return network.IP, nil
		}
		if six == nil {
			six = network.IP
		}
	}
	if six == nil {
		return nil, errors.New("this machine has no address that others reach")
	}
	return six, nil
}
