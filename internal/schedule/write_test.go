package schedule_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"

	"github.com/dataguardian/dataguardian/internal/schedule"
	"github.com/dataguardian/dataguardian/internal/standalone/temporalserver"
)

// between is a client as the platform's, with which do happens once, after a schedule was read and before it is written.
func between(t *testing.T, do func()) client.Client {
	t.Helper()
	var once sync.Once
	c, err := client.DialContext(t.Context(), client.Options{
		HostPort: address, Namespace: temporalserver.DefaultNamespace,
		ConnectionOptions: client.ConnectionOptions{DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(schedule.KeepState,
			func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				if _, is := request.(*workflowservice.UpdateScheduleRequest); is {
					once.Do(do)
				}
				return next(ctx, method, request, reply, conn, opts...)
			})}},
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestAPauseOfTheMomentInWhichAScheduleIsCorrectedStays(t *testing.T) {
	job := nightly("raced")
	own := schedule.Interval{ID: "raced-own", Every: time.Hour, Workflow: "Scheduled", TaskQueue: "nobody"}
	put(t, job)
	_, _, err := schedule.PutInterval(t.Context(), temporalClient, own)
	require.NoError(t, err)
	pause := func(id string) func() {
		return func() {
			require.NoError(t, temporalClient.ScheduleClient().GetHandle(t.Context(), id).Pause(t.Context(), client.SchedulePauseOptions{Note: "too much load"}))
			require.Eventually(t, func() bool { return described(t, id).Schedule.State.Paused }, 2*time.Minute, 20*time.Millisecond)
		}
	}
	job.Cron, own.Every = "15 4 * * *", 2*time.Hour
	require.NoError(t, schedule.Put(t.Context(), between(t, pause(job.ID)), job))
	_, told, err := schedule.PutInterval(t.Context(), between(t, pause(own.ID)), own)
	require.NoError(t, err)
	require.Equal(t, "too much load", told)

	for _, id := range []string{job.ID, own.ID} {
		require.True(t, described(t, id).Schedule.State.Paused, id)
		require.Equal(t, "too much load", described(t, id).Schedule.State.Note, id)
	}
	require.Equal(t, 4, described(t, job.ID).Schedule.Spec.Calendars[0].Hour[0].Start, "what was to be written is written all the same")
	require.Equal(t, 2*time.Hour, described(t, own.ID).Schedule.Spec.Intervals[0].Every)
}
