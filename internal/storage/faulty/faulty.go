// Package faulty is a store that fails as a test scripts it.
package faulty

import (
	"context"
	"io"
	"strings"
	"sync"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// Op is a method of a store.
type Op string

// The methods that can be made to fail.
const (
	Put    Op = "put"
	Get    Op = "get"
	Stat   Op = "stat"
	List   Op = "list"
	Delete Op = "delete"
	Copy   Op = "copy"
	Usage  Op = "usage"
	Sync   Op = "sync"
)

// Fault is one thing that goes wrong. Which calls it hits: those of Op whose key contains Key, from
// the From-th such call after Inject (1 is the next one; 0 too), Times calls long (0 is for ever).
// What happens: the call first waits for Block, if there is one, or for its context; then it fails
// with Err, if there is one; else a Get's bytes end after Truncate bytes (if Cut) and have the
// lowest bit of the byte at Flip inverted (if Damage).
type Fault struct {
	Op    Op
	Key   string
	From  int
	Times int

	Block    <-chan struct{}
	Err      error
	Cut      bool
	Truncate int64
	Damage   bool
	Flip     int64
}

// Store passes calls on to another store, except where a Fault says otherwise. Without faults it
// behaves exactly as the store inside.
type Store struct {
	inner storage.Store

	mu     sync.Mutex
	faults []*scripted
	calls  map[Op]int
}

type scripted struct {
	Fault
	seen int
}

var _ storage.Store = (*Store)(nil)

// New decorates inner.
func New(inner storage.Store) *Store { return &Store{inner: inner, calls: map[Op]int{}} }

// Unwrap gives the store inside.
func (s *Store) Unwrap() storage.Store { return s.inner }

// Inject adds a fault. Faults are tried in the order in which they were added; one hits a call.
func (s *Store) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &scripted{Fault: f})
}

// InjectAll makes every call of the given methods fail with err, until Clear.
func (s *Store) InjectAll(err error, ops ...Op) {
	for _, op := range ops {
		s.Inject(Fault{Op: op, Err: err})
	}
}

// Cut makes every call fail as if the server could not be reached, until Clear.
func (s *Store) Cut() {
	s.InjectAll(failure.New(failure.Unreachable, "connect", "connection refused", "Check that the server runs."),
		Put, Get, Stat, List, Delete, Copy, Usage, Sync)
}

// Clear removes all faults.
func (s *Store) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Calls is how often a method was called, failed calls included.
func (s *Store) Calls(op Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// enter counts the call, and waits and fails as scripted. The fault it returns is nil or has
// something left to do to the bytes.
func (s *Store) enter(ctx context.Context, op Op, key string) (*Fault, error) {
	f := s.match(op, key)
	if f == nil {
		return nil, nil
	}
	if f.Block != nil {
		select {
		case <-f.Block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return f, f.Err
}

func (s *Store) match(op Op, key string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[op]++
	for _, f := range s.faults {
		if f.Op != op || !strings.Contains(key, f.Key) {
			continue
		}
		f.seen++
		first := max(f.From, 1)
		if f.seen >= first && (f.Times == 0 || f.seen < first+f.Times) {
			return &f.Fault
		}
	}
	return nil
}

// Put fails as scripted, before anything is stored.
func (s *Store) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	if _, err := s.enter(ctx, Put, key); err != nil {
		return err
	}
	return s.inner.Put(ctx, key, body, size)
}

// Get fails as scripted, or returns damaged bytes.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	f, err := s.enter(ctx, Get, key)
	if err != nil {
		return nil, err
	}
	body, err := s.inner.Get(ctx, key, offset, length)
	if err != nil || f == nil {
		return body, err
	}
	return &damaged{ReadCloser: body, fault: *f}, nil
}

// damaged changes what is read.
type damaged struct {
	io.ReadCloser
	fault Fault
	pos   int64
}

func (d *damaged) Read(p []byte) (int, error) {
	if d.fault.Cut {
		left := d.fault.Truncate - d.pos
		if left <= 0 {
			return 0, io.EOF
		}
		p = p[:min(int64(len(p)), left)]
	}
	n, err := d.ReadCloser.Read(p)
	if at := d.fault.Flip - d.pos; d.fault.Damage && at >= 0 && at < int64(n) {
		p[at] ^= 1
	}
	d.pos += int64(n)
	return n, err
}

// Stat fails as scripted.
func (s *Store) Stat(ctx context.Context, key string) (storage.Object, error) {
	if _, err := s.enter(ctx, Stat, key); err != nil {
		return storage.Object{}, err
	}
	return s.inner.Stat(ctx, key)
}

// List fails as scripted, before the first object.
func (s *Store) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	if _, err := s.enter(ctx, List, prefix); err != nil {
		return err
	}
	return s.inner.List(ctx, prefix, fn)
}

// Delete fails as scripted.
func (s *Store) Delete(ctx context.Context, key string) error {
	if _, err := s.enter(ctx, Delete, key); err != nil {
		return err
	}
	return s.inner.Delete(ctx, key)
}

// Copy fails as scripted; the fault's key is compared with from.
func (s *Store) Copy(ctx context.Context, from, to string) error {
	if _, err := s.enter(ctx, Copy, from); err != nil {
		return err
	}
	return s.inner.Copy(ctx, from, to)
}

// Usage fails as scripted.
func (s *Store) Usage(ctx context.Context) (storage.Usage, error) {
	if _, err := s.enter(ctx, Usage, ""); err != nil {
		return storage.Usage{}, err
	}
	return s.inner.Usage(ctx)
}

// Sync fails as scripted.
func (s *Store) Sync(ctx context.Context) error {
	if _, err := s.enter(ctx, Sync, ""); err != nil {
		return err
	}
	return s.inner.Sync(ctx)
}

// Close closes the store inside.
func (s *Store) Close() error { return s.inner.Close() }
