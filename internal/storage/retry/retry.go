// Package retry repeats what a store failed to do, where trying again may help.
package retry

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// DefaultOutage is how long a location may be away unless Options say otherwise: a server that starts
// again, a router that dials in again. It ends before a worker that is silent meanwhile counts as
// lost, which is after 45 seconds.
const DefaultOutage = 40 * time.Second

// Options say how long to insist. The zero value has the defaults.
type Options struct {
	// Retries is how often a call is tried again whose error does not say that the location is away;
	// 0 is 3.
	Retries int
	// Outage is how long after its first failure a call is still tried again while the location can
	// not be reached or does not answer; 0 is DefaultOutage.
	Outage time.Duration
	// FirstDelay is the wait before the second try, grown by half and jittered from try to try; 0 is
	// 500 ms.
	FirstDelay time.Duration
	// LongestDelay is where it stops to grow, so that a location that is back is noticed; 0 is 5 s.
	LongestDelay time.Duration
}

func (o Options) withDefaults() Options {
	if o.Retries == 0 {
		o.Retries = 3
	}
	if o.Outage == 0 {
		o.Outage = DefaultOutage
	}
	if o.FirstDelay == 0 {
		o.FirstDelay = 500 * time.Millisecond
	}
	if o.LongestDelay == 0 {
		o.LongestDelay = 5 * time.Second
	}
	return o
}

// Store repeats failed calls of the store inside it. Errors of a permanent class (see package
// failure), errors of the caller's own body or callback, and the end of the context are returned at
// once; what is returned in the end is the error of the last try.
type Store struct {
	storage.Store
	opts Options
}

var (
	_ storage.Store        = (*Store)(nil)
	_ storage.BatchDeleter = (*Store)(nil)
	_ storage.FolderLister = (*Store)(nil)
)

// New decorates inner.
func New(inner storage.Store, opts Options) *Store {
	return &Store{Store: inner, opts: opts.withDefaults()}
}

// Unwrap gives the store inside.
func (s *Store) Unwrap() storage.Store { return s.Store }

// Put is repeated only if the body can be rewound to where it stood.
func (s *Store) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	seeker, ok := body.(io.Seeker)
	if !ok {
		return s.Store.Put(ctx, key, body, size)
	}
	start, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return s.Store.Put(ctx, key, body, size)
	}
	return s.do(ctx, func() error {
		if _, err := seeker.Seek(start, io.SeekStart); err != nil {
			return &final{err}
		}
		err := s.Store.Put(ctx, key, body, size)
		if errors.Is(err, storage.ErrBody) {
			return &final{err}
		}
		return err
	})
}

// Get repeats the opening. A read that fails half-way is the reader's error.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (body io.ReadCloser, err error) {
	err = s.do(ctx, func() error {
		body, err = s.Store.Get(ctx, key, offset, length)
		return err
	})
	return body, err
}

// Stat is repeated.
func (s *Store) Stat(ctx context.Context, key string) (object storage.Object, err error) {
	err = s.do(ctx, func() error {
		object, err = s.Store.Stat(ctx, key)
		return err
	})
	return object, err
}

// List is repeated only as long as fn saw nothing.
func (s *Store) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	return untilSeen(ctx, s, fn, func(fn func(storage.Object) error) error { return s.Store.List(ctx, prefix, fn) })
}

// ListFolder is repeated only as long as fn saw nothing.
func (s *Store) ListFolder(ctx context.Context, folder, after string, fn func(storage.Entry) error) error {
	return untilSeen(ctx, s, fn, func(fn func(storage.Entry) error) error { return storage.ListFolder(ctx, s.Store, folder, after, fn) })
}

// untilSeen repeats a listing until it works or fn saw a part of it: fn must not see anything twice.
func untilSeen[T any](ctx context.Context, s *Store, fn func(T) error, list func(func(T) error) error) error {
	return s.do(ctx, func() error {
		called := false
		err := list(func(found T) error {
			called = true
			return fn(found)
		})
		if err != nil && called {
			return &final{err}
		}
		return err
	})
}

// Delete is repeated.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.do(ctx, func() error { return s.Store.Delete(ctx, key) })
}

// DeleteMany is repeated: what is gone already is no error.
func (s *Store) DeleteMany(ctx context.Context, keys []string) error {
	return s.do(ctx, func() error { return storage.DeleteMany(ctx, s.Store, keys) })
}

// Copy is repeated.
func (s *Store) Copy(ctx context.Context, from, to string) error {
	return s.do(ctx, func() error { return s.Store.Copy(ctx, from, to) })
}

// Usage is repeated.
func (s *Store) Usage(ctx context.Context) (usage storage.Usage, err error) {
	err = s.do(ctx, func() error {
		usage, err = s.Store.Usage(ctx)
		return err
	})
	return usage, err
}

// Sync is not repeated: after a failed write-back the kernel may have dropped the data, and a
// second call would report success.
