package workflows_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	historypb "go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

func recorded(t *testing.T) map[string]*historypb.History {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "replay", "*.json"))
	require.NoError(t, err)
	histories := map[string]*historypb.History{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		h := new(historypb.History)
		require.NoError(t, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, h), file)
		require.NotEmpty(t, h.Events, file)
		histories[filepath.Base(file)] = h
	}
	return histories
}

// What people read in the Temporal web UI of a run, and what ends a step that hangs.
func TestEveryRecordedActivityHasASummaryAndLimits(t *testing.T) {
	seen := 0
	for name, h := range recorded(t) {
		for _, event := range h.Events {
			a := event.GetActivityTaskScheduledEventAttributes()
			if a == nil {
				continue
			}
			seen++
			require.NotEmpty(t, event.GetUserMetadata().GetSummary().GetData(), "%s: %s", name, a.ActivityType.Name)
			require.Positive(t, a.StartToCloseTimeout.AsDuration(), "%s: %s", name, a.ActivityType.Name)
			require.Positive(t, a.ScheduleToCloseTimeout.AsDuration(), "%s: %s", name, a.ActivityType.Name)
		}
	}
	require.Greater(t, seen, 40)
}
