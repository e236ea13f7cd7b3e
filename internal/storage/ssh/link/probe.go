package link

import (
	"context"
	"slices"

	"github.com/dataguardian/dataguardian/internal/sshdial"
)

// Probe asks every connection for a sign of life and waits for the answers. What gives none is closed
// when the pool's silence is over, and counted by Losses before Probe returns: a connection whose server
// started again without a word looks alive until something is sent. Errors: that of ctx.
func (p *Pool) Probe(ctx context.Context) error {
	p.mu.Lock()
	conns := slices.Clone(p.conns)
	p.mu.Unlock()
	answers := make(chan struct{}, len(conns))
	for _, c := range conns {
		go func() {
			c.probe()
			answers <- struct{}{}
		}()
	}
	for range conns {
		select {
		case <-answers:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// probe asks for a sign of life. Where there is none the connection is closed, and its loss counted when
// probe returns.
func (c *Conn) probe() bool {
	if sshdial.Probe(c.client) {
		return true
	}
	c.client.Close()
	<-c.dead
	return false
}
