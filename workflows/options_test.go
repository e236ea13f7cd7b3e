package workflows_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTimeLimitsAndRetryPoliciesAreInOneFile(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, literal := range []string{"ActivityOptions{", "temporal.RetryPolicy{", "Timeout:"} {
			if n := strings.Count(string(text), literal); file == "options.go" {
				found += n
			} else {
				require.Zero(t, n, "%s holds %s; it belongs into options.go", file, literal)
			}
		}
	}
	require.Greater(t, found, 20, "options.go is not what this test takes it for")
}

// Without both limits a step waits for ever, for a worker or on one.
func TestEveryActivityHasBothTimeLimitsAndASummary(t *testing.T) {
	text, err := os.ReadFile("options.go")
	require.NoError(t, err)
	blocks := strings.Split(string(text), "ActivityOptions{")[1:]
	require.Greater(t, len(blocks), 10)
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "\n\t})")
		for _, field := range []string{"StartToCloseTimeout:", "ScheduleToCloseTimeout:", "Summary:", "RetryPolicy:"} {
			require.Contains(t, block, field)
		}
	}
}
