package mysql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	driver "github.com/go-sql-driver/mysql"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// answerBytes is how much of an answer is read: what is told of it, and rows that arrive until that is seen.
const answerBytes = 3 * domain.MaxQueryBytes

var errTooWide = errors.New("the answer is too large")

// bounded is a connection that reads no more than so many bytes: the driver keeps a row whole in memory, however wide it is.
type bounded struct {
	net.Conn
	left     int64
	exceeded *atomic.Bool
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.exceeded.Store(true)
		return 0, errTooWide
	}
	n, err := b.Conn.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// bound gives a configuration such connections; exceeded tells of it.
func bound(c *driver.Config) (exceeded *atomic.Bool) {
	exceeded = &atomic.Bool{}
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &bounded{Conn: conn, left: answerBytes, exceeded: exceeded}, nil
	}
	return exceeded
}

// tooWide is the error of an answer whose rows do not fit.
func tooWide(op string) error {
	return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("a row of it has more than %d bytes", 2*domain.MaxQueryBytes),
		"Select less of it, for example with left() or substring().")
}
