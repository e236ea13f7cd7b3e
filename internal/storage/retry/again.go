package retry

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// final marks an error that must not be retried, whatever its class. do takes it off again.
type final struct{ error }

// do calls try until it succeeds, fails for good, or patience ends.
func (s *Store) do(ctx context.Context, try func() error) error {
	var others int // failures that do not say that the location is away
	var since time.Time
	var delays *backoff.ExponentialBackOff
	for {
		err := try()
		if err == nil {
			return nil
		}
		var stop *final
		if errors.As(err, &stop) {
			return stop.error
		}
		class := failure.ClassOf(err)
		if failure.IsPermanent(class) || class == failure.Cancelled || ctx.Err() != nil {
			return err
		}
		if delays == nil { // an outage begins with the first failure: the try before it may have worked for an hour
			since, delays = time.Now(), s.delays()
		}
		delay := delays.NextBackOff()
		if class == failure.Unreachable || class == failure.Timeout {
			left := s.opts.Outage - time.Since(since)
			if left <= 0 {
				return err
			}
			delay = min(delay, left) // the last try is at the very end
		} else if others++; others > s.opts.Retries {
			return err
		}
		if !wait(ctx, delay) {
			return err // not the context's bare error: the last try says what is wrong
		}
	}
}

func (s *Store) delays() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(s.opts.FirstDelay),
		backoff.WithMaxInterval(s.opts.LongestDelay), backoff.WithMaxElapsedTime(0))
}

// wait reports whether delay passed before ctx ended.
func wait(ctx context.Context, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
