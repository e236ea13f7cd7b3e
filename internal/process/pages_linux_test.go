package process

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePagesOfTheProgramAreGivenBackAndItGoesOn(t *testing.T) {
	mappings := programMappings()
	require.NotEmpty(t, mappings)
	before := residentFilePages(t)
	ReleasePages()
	require.Less(t, residentFilePages(t), before)
	require.Equal(t, mappings, programMappings())
}

// residentFilePages are the kilobytes of files that are mapped and resident.
func residentFilePages(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	found := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(t, found)
	kilobytes, err := strconv.Atoi(string(found[1]))
	require.NoError(t, err)
	return kilobytes
}
