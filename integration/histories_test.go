package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/encoding/protojson"

	enumspb "go.temporal.io/api/enums/v1"
	sdk "go.temporal.io/sdk/worker"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/worker"
)

const (
	// replayBudget is how long the run's histories are replayed at its end.
	replayBudget = 10 * time.Second
	// longHistory is left out: what it does is in shorter ones too.
	longHistory = 400
)

// replayEverything replays what the tests of this run made workflows do with the code that did it: one
// history of each course that a workflow took. With -record it keeps, as real runs, the first of each
// type, and of each kind of backup, that the folder has none of.
func (p *platform) replayEverything(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	ends, seen := time.Now().Add(replayBudget), map[string]bool{}
	var page []byte
	for {
		list, err := p.dialled.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: "ExecutionStatus != 'Running' AND ExecutionStatus != 'Terminated'", PageSize: 200, NextPageToken: page,
		})
		if err != nil {
			return fmt.Errorf("list the workflows of this run: %w", err)
		}
		for _, run := range list.Executions {
			if time.Now().After(ends) && !*record {
				return nil
			}
			if err := p.replayOne(ctx, run, seen); err != nil {
				return err
			}
		}
		if page = list.NextPageToken; len(page) == 0 {
			return nil
		}
	}
}

func (p *platform) replayOne(ctx context.Context, run *workflow.WorkflowExecutionInfo, seen map[string]bool) error {
	if run.HistoryLength > longHistory || strings.HasPrefix(run.TaskQueue, endsQueue) {
		return nil
	}
	var h historypb.History
	events := p.dialled.GetWorkflowHistory(ctx, run.Execution.WorkflowId, run.Execution.RunId, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return fmt.Errorf("read the history of %s: %w", run.Execution.WorkflowId, err)
		}
		h.Events = append(h.Events, event)
	}
	course := run.Type.Name + " " + courseOf(&h)
	if seen[course] {
		return nil
	}
	seen[course] = true
	replayer := sdk.NewWorkflowReplayer()
	worker.RegisterWorkflows(replayer)
	if err := replayer.ReplayWorkflowHistory(nil, &h); err != nil {
		return fmt.Errorf("the history of %s does not replay: %w", run.Execution.WorkflowId, err)
	}
	if *record && run.Status == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
		return keepFirst(run.Type.Name, &h)
	}
	return nil
}

// courseOf is what happened in a run, in order.
func courseOf(h *historypb.History) string {
	var course strings.Builder
	for _, event := range h.Events {
		fmt.Fprintf(&course, "%d", event.EventType)
		if a := event.GetActivityTaskScheduledEventAttributes(); a != nil {
			course.WriteString(a.ActivityType.Name)
		}
		course.WriteByte(' ')
	}
	return course.String()
}

// keepFirst writes a history under the names that it is the first of.
func keepFirst(kind string, h *historypb.History) error {
	names := []string{kebab(kind) + "-run"}
	if kind == contract.Backup.Name {
		names = nil
		for name, holds := range map[string]bool{
			"backup-queued":    hasEvent(h, enumspb.EVENT_TYPE_TIMER_STARTED),
			"backup-scheduled": hasActivity(h, contract.QueueScheduledBackup.Name) || hasLocal(h, contract.QueueScheduledBackup.Name),
		} {
			if holds {
				names = append(names, name)
			}
		}
	}
	for _, name := range names {
		path := filepath.Join("..", "workflows", "testdata", "replay", name+".json")
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			continue
		}
		if already, _ := filepath.Glob(filepath.Join(filepath.Dir(path), strings.TrimSuffix(name, "-run")+"-*.json")); kind != contract.Backup.Name && len(already) > 0 {
			continue
		}
		document, err := protojson.MarshalOptions{Multiline: true, Indent: " "}.Marshal(h)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(anonymous(string(document))), 0o644); err != nil { //nolint:gosec // a file of the repository
			return err
		}
	}
	return nil
}

var (
	temporaryPaths = regexp.MustCompile(regexp.QuoteMeta(os.TempDir()) + `/[^"\\ ]*`)
	capitals       = regexp.MustCompile(`([a-z])([A-Z])`)
)

func kebab(name string) string { return strings.ToLower(capitals.ReplaceAllString(name, "$1-$2")) }

// anonymous takes the names of this machine out of a history.
func anonymous(document string) string {
	document = identities.ReplaceAllString(document, `"identity": "recorded"`)
	document = temporaryPaths.ReplaceAllString(document, "/tmp/recorded")
	if host, err := os.Hostname(); err == nil {
		document = strings.ReplaceAll(document, host, "worker")
	}
	return document
}

func hasActivity(h *historypb.History, name string) bool {
	for _, event := range h.Events {
		if a := event.GetActivityTaskScheduledEventAttributes(); a != nil && a.ActivityType.Name == name {
			return true
		}
	}
	return false
}

// hasLocal looks into the markers that local activities leave.
func hasLocal(h *historypb.History, name string) bool {
	for _, event := range h.Events {
		if m := event.GetMarkerRecordedEventAttributes(); m != nil && strings.Contains(m.String(), name) {
			return true
		}
	}
	return false
}

func hasEvent(h *historypb.History, kind enumspb.EventType) bool {
	for _, event := range h.Events {
		if event.EventType == kind {
			return true
		}
	}
	return false
}
