package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	historypb "go.temporal.io/api/history/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/workflowservice/v1"
	temporal "go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/standalone/temporalserver"
)

// comeDue has a schedule start a run under its own overlap policy, as if its time had come: in a second of its own, since runs
// that are due in the same one are one.
func comeDue(t *testing.T, scheduleID string) {
	t.Helper()
	<-time.After(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
	require.NoError(t, shared.dialled.ScheduleClient().GetHandle(t.Context(), scheduleID).Trigger(t.Context(), temporal.ScheduleTriggerOptions{}))
}

// awaitInfo waits until Temporal says of a schedule what is wanted. A run that waits for another one looks every minute.
func awaitInfo(t *testing.T, scheduleID, what string, wanted func(*schedulepb.ScheduleInfo) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		d, err := shared.dialled.WorkflowService().DescribeSchedule(t.Context(), &workflowservice.DescribeScheduleRequest{
			Namespace: temporalserver.DefaultNamespace, ScheduleId: scheduleID,
		})
		return err == nil && wanted(d.GetInfo())
	}, patience, 50*time.Millisecond, what)
}

func (g *gate) awaitArrival(t *testing.T) {
	t.Helper()
	select {
	case <-g.reached:
	case <-time.After(time.Minute):
		t.Fatal("nothing came to the gate")
	}
}

// Two runs of a backup job are due while one goes on: none of them takes place, or the first of them, when that one has ended.
func TestABackupThatIsDueMeanwhileIsSkippedOrComesNext(t *testing.T) {
	t.Parallel()
	for policy, take := range map[domain.OverlapPolicy]int{domain.OverlapSkip: 0, domain.OverlapBufferOne: 1} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			pool := "overlap-" + strings.ReplaceAll(string(policy), "_", "-")
			held := gated(t, pool, "dump.claimed")
			job := makeFilesJob(t, shared.owner, pool, unique(t), 1000, client.BackupJobDocument{ScheduleCron: "0 4 1 1 *", OverlapPolicy: policy})
			schedule := contract.BackupScheduleID(job.ID)
			comeDue(t, schedule)
			held.awaitArrival(t)
			comeDue(t, schedule)
			awaitInfo(t, schedule, "the second is buffered or skipped", func(i *schedulepb.ScheduleInfo) bool {
				return i.BufferSize == int64(take) && i.OverlapSkipped == int64(1-take)
			})
			comeDue(t, schedule)
			awaitInfo(t, schedule, "the third is skipped", func(i *schedulepb.ScheduleInfo) bool {
				return i.BufferSize == int64(take) && i.OverlapSkipped == int64(2-take)
			})
			held.open()
			awaitInfo(t, schedule, "all have ended", func(i *schedulepb.ScheduleInfo) bool {
				return i.BufferSize == 0 && i.ActionCount == int64(1+take) && len(i.RunningWorkflows) == 0
			})
			runs, err := shared.owner.ListExecutions(t.Context(), client.ExecutionFilter{Job: job.ID})
			require.NoError(t, err)
			require.Len(t, runs, 1+take)
			for n, run := range runs {
				require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
				require.Equal(t, domain.TriggerSchedule, run.Metadata.Trigger)
				if n > 0 {
					require.False(t, runs[n-1].StartedAt.Before(*run.FinishedAt), "the newest first: one after the other")
				}
			}
		})
	}
}

// A run by hand of a sync job goes on when its schedule starts one, which waits for it. Of those that are due while that one waits,
// Temporal keeps the first.
func TestASyncThatIsDueMeanwhileComesNext(t *testing.T) {
	const pool = "overlap-sync"
	s := newSetup(t, withRows(10), withPool(pool))
	held := gated(t, pool, "sync.backup_prepared")
	job := s.syncJob(t, s.keeping(t), func(d *client.SyncJobDocument) {
		d.ScheduleCron, d.OverlapPolicy = "0 4 1 1 *", domain.OverlapBufferOne
	})
	require.Equal(t, domain.OverlapBufferOne, job.OverlapPolicy)
	schedule := contract.SyncScheduleID(job.ID)
	first := startSync(t, job)
	held.awaitArrival(t)

	comeDue(t, schedule)
	waiting := ""
	awaitInfo(t, schedule, "it is started", func(i *schedulepb.ScheduleInfo) bool {
		for _, running := range i.RunningWorkflows {
			waiting = running.WorkflowId
		}
		return waiting != ""
	})
	require.Eventually(t, func() bool { return hasTimer(historyOf(t, waiting)) }, patience, 50*time.Millisecond, "it waits")
	for n := range int64(2) {
		comeDue(t, schedule)
		awaitInfo(t, schedule, "one is buffered, and another one is not", func(i *schedulepb.ScheduleInfo) bool {
			return i.BufferSize == 1 && i.OverlapSkipped == n
		})
	}
	held.open()
	require.Equal(t, domain.Completed, waitSync(t, first).Status)
	awaitInfo(t, schedule, "all have ended", func(i *schedulepb.ScheduleInfo) bool {
		return i.BufferSize == 0 && i.ActionCount == 2 && len(i.RunningWorkflows) == 0
	})
	runs, err := shared.owner.SyncRuns().List(t.Context(), job.ID)
	require.NoError(t, err)
	require.Len(t, runs, 3)
	for n, run := range runs {
		require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
		if n > 0 {
			require.False(t, runs[n-1].StartedAt.Before(*run.FinishedAt), "the newest first: one after the other")
		}
	}
	require.Equal(t, waiting, runs[1].Metadata.WorkflowID)
	s.replay(t, map[string]*historypb.History{"sync-later": historyOf(t, waiting)})
}

func hasTimer(h *historypb.History) bool {
	for _, event := range h.Events {
		if event.GetTimerStartedEventAttributes() != nil {
			return true
		}
	}
	return false
}
