package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/process"
)

func TestTheHealthCheckSeesTheWorkerOfThisHost(t *testing.T) {
	t.Parallel()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.NoError(c, process.CheckPolling(t.Context(), shared.dialled, []string{"default"}))
	}, patience, 100*time.Millisecond)
	require.ErrorContains(t, process.CheckPolling(t.Context(), shared.dialled, []string{"default", "nobody"}), "pool nobody")
}
