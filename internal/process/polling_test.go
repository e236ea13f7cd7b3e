package process_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/mocks"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dataguardian/dataguardian/internal/process"
)

func TestAWorkerIsHealthyWhileItAsksForWork(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	poller := func(host string, ago time.Duration) *taskqueuepb.PollerInfo {
		return &taskqueuepb.PollerInfo{Identity: "1@" + host + "@", LastAccessTime: timestamppb.New(time.Now().Add(-ago))}
	}
	for name, c := range map[string]struct {
		pollers []*taskqueuepb.PollerInfo
		err     error
		says    string
	}{
		"it polls":                {pollers: []*taskqueuepb.PollerInfo{poller("elsewhere", 0), poller(host, time.Minute)}},
		"it polled long ago":      {pollers: []*taskqueuepb.PollerInfo{poller(host, 4*time.Minute)}, says: "pool default"},
		"only another host polls": {pollers: []*taskqueuepb.PollerInfo{poller(host+"2", 0), poller("2"+host, 0)}, says: "no worker on " + host},
		"Temporal is down":        {err: serviceerror.NewUnavailable("refused"), says: "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			var temporal mocks.Client
			temporal.On("DescribeTaskQueue", mock.Anything, "dataguardian.default", mock.Anything).
				Return(&workflowservice.DescribeTaskQueueResponse{Pollers: c.pollers}, c.err)
			err := process.CheckPolling(t.Context(), &temporal, []string{"default"})
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.says)
		})
	}
}
