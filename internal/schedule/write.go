package schedule

import (
	"context"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc"
)

const (
	// writes is how many times a schedule is written that is not as it should be afterwards: somebody has changed it meanwhile, or Temporal
	// takes what is written in by and by. The next upkeep looks again.
	writes = 4
	// settles is how much longer Temporal is given before each further one.
	settles = 50 * time.Millisecond
)

// write writes what change makes of the schedule as it is, until change has nothing to write (ErrSkipScheduleUpdate). What somebody else
// changes between reading and writing, a pause say, is not undone: Temporal drops what was made of an older state.
func write(ctx context.Context, c client.Client, id string, change func(client.ScheduleUpdateInput) (*client.ScheduleUpdate, error)) error {
	handle := c.ScheduleClient().GetHandle(ctx, id)
	for try := range writes {
		wrote := false
		err := handle.Update(context.WithValue(ctx, stateKey{}, &state{}), client.ScheduleUpdateOptions{
			DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				update, err := change(in)
				wrote = err == nil
				return update, err
			},
		})
		if err != nil || !wrote {
			return wrap(err, "correct", id)
		}
		select {
		case <-ctx.Done():
			return wrap(ctx.Err(), "correct", id)
		case <-time.After(time.Duration(try) * settles): // the first is mostly taken in already
		}
	}
	return nil
}

// state is which one of a schedule was read.
type state struct{ token []byte }

type stateKey struct{}

// KeepState is an interceptor of the connection to Temporal: what write writes goes with the token of the state that it has read. The SDK
// reads it and leaves it out.
func KeepState(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	read, ours := ctx.Value(stateKey{}).(*state)
	if update, is := request.(*workflowservice.UpdateScheduleRequest); is && ours && len(update.GetConflictToken()) == 0 {
		update.ConflictToken = read.token
	}
	err := next(ctx, method, request, reply, conn, opts...)
	if described, is := reply.(*workflowservice.DescribeScheduleResponse); is && ours && err == nil {
		read.token = described.GetConflictToken()
	}
	return err
}

// mayPause is the state that a schedule is to have, which somebody's pause in Temporal outlives.
func mayPause(wanted *client.ScheduleState, there client.Schedule) *client.ScheduleState {
	state := *wanted
	if pausedInTemporal(there.State.Paused, there.State.Note) {
		state.Paused, state.Note = true, there.State.Note
	}
	return &state
}

// skipSame is the update to wanted, if it differs from what is there.
func skipSame(there, wanted client.Schedule, search *temporal.SearchAttributes, alsoSame bool) (*client.ScheduleUpdate, error) {
	if alsoSame && same(there, wanted) {
		return nil, temporal.ErrSkipScheduleUpdate
	}
	return &client.ScheduleUpdate{Schedule: &wanted, TypedSearchAttributes: search}, nil
}
