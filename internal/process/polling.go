package process

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// pollFresh is how old the last poll of a healthy worker may be: one long poll takes a minute.
const pollFresh = 2 * time.Minute

// CheckPolling returns nil when a worker on this host has lately asked Temporal for work of every
// pool. In a container, the host is the container.
func CheckPolling(ctx context.Context, temporal client.Client, pools []string) error {
	const op = "check the worker"
	host, err := os.Hostname()
	if err != nil {
		return failure.Wrap(failure.ConfigInvalid, op, err, "")
	}
	for _, pool := range pools {
		found, err := temporal.DescribeTaskQueue(ctx, contract.TaskQueue(pool), enumspb.TASK_QUEUE_TYPE_WORKFLOW)
		if err != nil {
			return failure.Wrap(failure.Unreachable, op, err, "Check that the Temporal server is running.")
		}
		polls := func(p *taskqueuepb.PollerInfo) bool {
			// The SDK's identity is process@host@.
			return strings.Contains(p.GetIdentity(), "@"+host+"@") && time.Since(p.GetLastAccessTime().AsTime()) < pollFresh
		}
		if !slices.ContainsFunc(found.GetPollers(), polls) {
			return failure.New(failure.NotFound, op, fmt.Sprintf("no worker on %s asks Temporal for the work of pool %s", host, pool),
				"Look at the worker's log, or restart it.")
		}
	}
	return nil
}
