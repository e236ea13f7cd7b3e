package s3

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// maxDelay is the longest pause between two tries: a service that is back is noticed this soon.
const maxDelay = 5 * time.Second

// newRetryer gives the SDK's adaptive mode, which slows down when told to. How long to insist is
// decided by patience, not by a number of tries or a budget shared with other requests: 16 uploads
// that wait for the same server would use the budget up in seconds.
func newRetryer() *retry.AdaptiveMode {
	return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
		o.StandardOptions = append(o.StandardOptions, func(o *retry.StandardOptions) {
			o.MaxBackoff = maxDelay
			o.RateLimiter = ratelimit.None
		})
	})
}

// patience is the retryer of one request: it gives up some time after the first failure, and
// remembers the last one. The decorator storage/retry outside repeats for a minute at most, which is
// over by then, so the two do not multiply.
type patience struct {
	aws.RetryerV2
	limit time.Duration
	first time.Time
	last  error

	conflicts int
}

// conflicts are refusals of a request that met another one, or that stay: only a few more tries tell.
// The last one is versitygw's when a directory goes while an object is put into it, and also when the
// name is a directory.
var conflicts = []string{"OperationAborted", "ConditionalRequestConflict", "ExistingObjectIsDirectory"}

const maxConflicts = 5

// MaxAttempts is no limit: see limit.
func (p *patience) MaxAttempts() int { return 0 }

// IsErrorRetryable reports whether to try again.
func (p *patience) IsErrorRetryable(err error) bool {
	if !errors.Is(err, context.DeadlineExceeded) {
		p.last = err
	}
	if p.first.IsZero() {
		p.first = time.Now()
	}
	if time.Since(p.first) > p.limit || isCertificate(err) || speaksPlainHTTP(err) || isCredentials(err) {
		return false
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return true
	}
	if slices.Contains(conflicts, codeOf(err)) {
		p.conflicts++
		return p.conflicts <= maxConflicts
	}
	return p.RetryerV2.IsErrorRetryable(err)
}

// cause is what a failed request is about. One that ran out of time between two tries says only
// that; what the tries met says more.
func (p *patience) cause(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && p.last != nil {
		return errors.Join(p.last, context.DeadlineExceeded)
	}
	return err
}

// ask makes one request and classifies what comes of it. Every call of the SDK goes through here.
func ask[In, Out any](
	ctx context.Context, s *Store, op, key string, call func(context.Context, In, ...func(*s3.Options)) (Out, error), in In,
	options ...func(*s3.Options),
) (Out, error) {
	p := &patience{RetryerV2: s.retryer, limit: s.opts.Patience}
	out, err := call(ctx, in, append(options, func(o *s3.Options) { o.Retryer = p })...)
	if err != nil {
		if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
			return out, ctx.Err()
		}
		return out, s.classify(op, key, p.cause(ctx, err))
	}
	return out, nil
}
