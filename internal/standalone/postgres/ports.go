package postgres

import (
	"context"
	"net"
	"strconv"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// freePort asks the system for a port that nobody listens on right now.
func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// checkPort tells of a port in use before the server does it in its log.
func checkPort(ctx context.Context, port int) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return failure.Wrap(failure.ConfigInvalid, "listen for Postgres on 127.0.0.1:"+strconv.Itoa(port), err,
			"Choose another port, or 0 for a free one.")
	}
	return l.Close()
}
