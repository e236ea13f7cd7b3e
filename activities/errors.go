package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// errWorkerStopping ends long work on a worker that shuts down, so that another takes it over.
var errWorkerStopping = errors.New("the worker is shutting down; another one takes over")

// toTemporal is the one place that turns an error into a Temporal error: the class becomes the
// type, permanent classes are not retried, the hint and the side ride in the details. secrets are
// masked in the text, whoever wrote it.
func toTemporal(ctx context.Context, err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	var lost lostTooOften
	if errors.As(context.Cause(ctx), &lost) {
		return lost.toTemporal()
	}
	if errors.Is(context.Cause(ctx), errWorkerStopping) {
		handBack(ctx)
		return temporal.NewApplicationErrorWithOptions(errWorkerStopping.Error(), string(failure.Unreachable),
			temporal.ApplicationErrorOptions{NextRetryDelay: time.Second})
	}
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		// The SDK reports a cancelled activity only for this very error.
		return context.Canceled
	}
	class := failure.ClassOf(err)
	overtaken := errors.Is(err, db.ErrExecutionFinished) || errors.Is(err, db.ErrSuperseded)
	var last lastTry
	return temporal.NewApplicationErrorWithOptions(failure.Redact(err.Error(), secrets...), string(class),
		temporal.ApplicationErrorOptions{
			NonRetryable: failure.IsPermanent(class) || overtaken || errors.As(err, &last) || lastOne(ctx),
			Details:      []any{failure.HintOf(err), failure.SideOf(err)},
		})
}

// lastTry is an error after which the same is not tried again.
type lastTry struct{ error }

func (l lastTry) Unwrap() error { return l.error }

// giveUpOnStorage ends the tries of an activity when its storage location has failed so often, 0 for
// never: there is another one to try. Other failures are tried as often as ever.
func giveUpOnStorage(ctx context.Context, err error, after int32) error {
	if after > 0 && failure.SideOf(err) == failure.Storage && tries(ctx) >= after {
		return lastTry{err}
	}
	return err
}

// untilWorkerStops ends the returned context, with errWorkerStopping as its cause, when the worker
// is asked to stop. Where every try was lost with its worker it has ended already.
func untilWorkerStops(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(withHandover(ctx))
	if most := triesAllowed(ctx); most > 0 && tries(ctx) > most {
		cancel(lostTooOften{most})
	}
	stopping := activity.GetWorkerStopChannel(ctx)
	go func() {
		select {
		case <-stopping:
			cancel(errWorkerStopping)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}
