package worker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// unrecorded are workflows of which no history is kept, and why.
var unrecorded = map[string]string{
	"CopyFile":          "one activity, that somebody waits for: an upgrade in between costs them one request",
	"DeleteFiles":       "one activity, that somebody waits for: an upgrade in between costs them one request",
	"MeasureStorage":    "one activity, that somebody waits for: an upgrade in between costs them one request",
	"CheckStorageDraft": "one activity, that somebody waits for: an upgrade in between costs them one request",
	"OpenTransfer":      "one local activity; integration/explore_test.go replays it",
}

// A run that is under way during an upgrade goes on with the new code, so what released code did is kept and replayed
// (workflows/replay_test.go). A new workflow needs a history too: integration -record keeps one.
func TestEveryWorkflowHasARecordedHistory(t *testing.T) {
	files, err := filepath.Glob("../workflows/testdata/replay/*.json")
	require.NoError(t, err)
	recorded := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var history struct {
			Events []struct {
				Started struct {
					WorkflowType struct{ Name string } `json:"workflowType"`
				} `json:"workflowExecutionStartedEventAttributes"`
			} `json:"events"`
		}
		require.NoError(t, json.Unmarshal(text, &history), file)
		require.NotEmpty(t, history.Events, file)
		name := history.Events[0].Started.WorkflowType.Name
		require.NotEmpty(t, name, file)
		recorded[name] = true
	}
	var r registry
	RegisterWorkflows(&r)
	for _, name := range r.workflows {
		if _, excused := unrecorded[name]; !excused {
			require.True(t, recorded[name], "no history of workflow %s is recorded", name)
		}
	}
}
