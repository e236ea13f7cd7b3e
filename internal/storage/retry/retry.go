// Package retry repeats what a store failed to do, where trying again may help.
package retry

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// Options say how long to insist. The zero value gives three more tries within a minute: longer
// outages are left to the caller, which knows how much work it would repeat.
type Options struct {
	Retries    uint64        // tries after the first one; 0 is 3
	FirstDelay time.Duration // doubled and jittered from try to try; 0 is 500 ms
	MaxElapsed time.Duration // 0 is one minute
}

// Store repeats failed calls of the store inside it. Errors of a permanent class (see package
// failure) and the end of the context are returned at once.
type Store struct {
	storage.Store
	opts Options
}

var (
	_ storage.Store        = (*Store)(nil)
	_ storage.BatchDeleter = (*Store)(nil)
)

// New decorates inner.
func New(inner storage.Store, opts Options) *Store {
	if opts.Retries == 0 {
		opts.Retries = 3
	}
	if opts.FirstDelay == 0 {
		opts.FirstDelay = 500 * time.Millisecond
	}
	if opts.MaxElapsed == 0 {
		opts.MaxElapsed = time.Minute
	}
	return &Store{Store: inner, opts: opts}
}

// Unwrap gives the store inside.
func (s *Store) Unwrap() storage.Store { return s.Store }

func (s *Store) do(ctx context.Context, try func() error) error {
	exponential := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(s.opts.FirstDelay), backoff.WithMaxElapsedTime(s.opts.MaxElapsed))
	limited := backoff.WithContext(backoff.WithMaxRetries(exponential, s.opts.Retries), ctx)
	var last error
	err := backoff.Retry(func() error {
		last = try()
		var stop *final
		if errors.As(last, &stop) {
			last = stop.error
			return backoff.Permanent(last)
		}
		class := failure.ClassOf(last)
		if last != nil && (failure.IsPermanent(class) || class == failure.Cancelled || ctx.Err() != nil) {
			return backoff.Permanent(last)
		}
		return last
	}, limited)
	if err != nil && last != nil {
		return last // not the context's bare error: the last try says what is wrong
	}
	return err
}

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
		return s.Store.Put(ctx, key, body, size)
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

// List is repeated only as long as fn saw nothing: it must not see an object twice.
func (s *Store) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	return s.do(ctx, func() error {
		called := false
		err := s.Store.List(ctx, prefix, func(o storage.Object) error {
			called = true
			return fn(o)
		})
		if err != nil && called {
			return &final{err}
		}
		return err
	})
}

// final marks an error that must not be retried, whatever its class. do takes it off again.
type final struct{ error }

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
