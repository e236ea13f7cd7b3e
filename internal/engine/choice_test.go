package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestAChoiceTakesTablesByNameAndPattern(t *testing.T) {
	everything := engine.NewChoice(nil)
	require.True(t, everything.Takes("anything"))
	require.NoError(t, everything.Missing())

	c := engine.NewChoice([]string{"orders", "app.log_*", "odd*name", "a.b", "v?"})
	for name, taken := range map[string]bool{"orders": true, "orders2": false, "odd*name": true, "oddly/named name": true, "axb": false, "v1": true, "v12": false} {
		require.Equal(t, taken, c.Takes(name), name)
	}
	require.True(t, c.Takes("log_2024", "app.log_2024"))
	err := c.Missing()
	enginetest.RequireClass(t, failure.NotFound, err)
	require.ErrorContains(t, err, `"a.b"`)
	require.True(t, c.Takes("a.b"))
	require.NoError(t, c.Missing())
}
