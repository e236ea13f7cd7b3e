// Package link keeps SSH connections to one server, each with an SFTP session, and repeats what a
// broken one interrupted.
package link

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/sshdial"
)

const (
	defaultPatience       = time.Minute
	defaultMaxConnections = 4
	// growPause is how long no further connection is tried after one was refused.
	growPause = 30 * time.Second
	// maxLosses is how often an operation may lose its connection: one that always does breaks it itself.
	maxLosses = 8
	// maxRefusals is how often a login that worked before is tried again. A server that is starting
	// refuses everybody for a moment; one that blocks whoever fails often must not be given reason.
	maxRefusals  = 3
	refusalPause = 5 * time.Second
)

// Pool shares out connections. It opens one after the other and only while all are in use: sshd drops
// logins at random when ten are under way (MaxStartups). Each connection has one session, so
// MaxSessions is never reached.
type Pool struct {
	dialer   *dialer
	patience time.Duration
	max      int
	dialing  chan struct{} // held while a connection is opened
	closed   chan struct{}
	running  sync.WaitGroup

	mu       sync.Mutex
	conns    []*Conn
	isClosed bool
	growing  bool
	pause    time.Time // no further connection before
}

// Open connects once. Nothing is repeated but a login that the server dropped for having too many at
// the same time. Errors are those of sshdial.Dialer.Dial; ConfigInvalid also if there is no SFTP session.
func Open(ctx context.Context, opts Options) (*Pool, error) {
	d, err := newDialer(opts)
	if err != nil {
		return nil, err
	}
	p := &Pool{dialer: d, patience: opts.Patience, max: opts.MaxConnections, dialing: make(chan struct{}, 1), closed: make(chan struct{})}
	if p.patience == 0 {
		p.patience = defaultPatience
	}
	if p.max == 0 {
		p.max = defaultMaxConnections
	}
	const attempts = 5
	for attempt := 1; ; attempt++ {
		_, err := p.acquire(ctx)
		if err == nil {
			return p, nil
		}
		if ctx.Err() != nil || !errors.Is(err, sshdial.ErrDropped) || attempt == attempts {
			return nil, err
		}
		if err := p.sleep(ctx, jitter(time.Duration(attempt)*300*time.Millisecond)); err != nil {
			return nil, err
		}
	}
}

// Address is the server's host:port.
func (p *Pool) Address() string { return p.dialer.Address() }

// Losses grows whenever a connection ends, before another one takes its place.
func (p *Pool) Losses() int64 { return p.dialer.losses.Load() }

// Close closes every connection.
func (p *Pool) Close() error {
	p.mu.Lock()
	if !p.isClosed {
		p.isClosed = true
		close(p.closed)
	}
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	for _, c := range conns {
		c.client.Close() // what it says of a connection that is gone already helps nobody
		<-c.dead
	}
	p.running.Wait()
	return nil
}

// Do calls try with a connection, and again with another one when that broke, until it succeeds, the
// server answers with an error, or the server stays away for the pool's patience. What try did before
// the connection broke may have been done or not.
func (p *Pool) Do(ctx context.Context, try func(*Conn) error) error {
	var away time.Time // since when the server is
	losses, refusals := 0, 0
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 3*time.Second) {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := p.acquire(ctx)
		if err == nil {
			away, refusals = time.Time{}, 0
			err = c.run(ctx, try)
			var marked final
			if errors.As(err, &marked) {
				return marked.error
			}
			if !c.Lost(err) {
				return err
			}
			err = p.lost(c, err)
			losses++
		} else if failure.ClassOf(err) == failure.AuthFailed {
			refusals++
		}
		if ended := ctx.Err(); ended != nil {
			return ended
		}
		if away.IsZero() {
			away = time.Now()
		}
		permanent := failure.IsPermanent(failure.ClassOf(err)) && failure.ClassOf(err) != failure.AuthFailed
		if permanent || losses == maxLosses || refusals == maxRefusals || time.Since(away) > p.patience {
			return err
		}
		if refusals > 0 {
			pause = refusalPause
		}
		if err := p.sleep(ctx, jitter(pause)); err != nil {
			return err
		}
	}
}

// lost takes a broken connection out.
func (p *Pool) lost(c *Conn, err error) error {
	p.dialer.losses.Add(1) // it may be noticed here before Conn.wait does
	c.client.Close()
	p.remove(c)
	return failure.Wrap(failure.Unreachable, "", fmt.Errorf("the connection to %s broke: %w", p.Address(), err), sshdial.UnreachableHint)
}

func (p *Pool) remove(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.conns {
		if other == c {
			p.conns = append(p.conns[:i:i], p.conns[i+1:]...)
			return
		}
	}
}

// acquire gives the least used connection, and opens one if there is none. If all are in use, a
// further one is opened in the background for those who come later.
func (p *Pool) acquire(ctx context.Context) (*Conn, error) {
	if c := p.pick(); c != nil {
		return c, nil
	}
	select {
	case p.dialing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-p.dialing }()
	if c := p.pick(); c != nil { // somebody else opened it meanwhile
		return c, nil
	}
	c, err := p.dialer.dial(ctx)
	if err != nil {
		return nil, err
	}
	return c, p.add(c)
}

func (p *Pool) pick() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *Conn
	living := p.conns[:0]
	for _, c := range p.conns {
		if !c.Alive() {
			continue
		}
		living = append(living, c)
		if best == nil || c.users.Load() < best.users.Load() {
			best = c
		}
	}
	p.conns = living
	if best != nil && best.users.Load() > 0 && len(living) < p.max && !p.growing && !p.isClosed && time.Now().After(p.pause) {
		p.growing = true
		p.running.Go(p.grow)
	}
	return best
}

// grow opens one more connection. A server that does not want it costs nothing but the try.
func (p *Pool) grow() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-p.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	c, err := p.dialer.dial(ctx)
	if err == nil {
		err = p.add(c)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.growing = false
	if err != nil {
		p.pause = time.Now().Add(growPause)
	}
}

func (p *Pool) add(c *Conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed {
		c.client.Close()
		return failure.New(failure.Unknown, opening, "the storage is closed", "")
	}
	p.conns = append(p.conns, c)
	return nil
}

func (p *Pool) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.closed:
		return failure.New(failure.Unknown, "use ssh storage", "the storage is closed", "")
	}
}

// jitter spreads what many workers do after the same event.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }
