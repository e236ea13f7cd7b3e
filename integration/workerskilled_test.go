package integration

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The test that takes longest has the last file by name: of the tests that wait for their turn Go begins with the last.

// Workers are killed at every boundary between two stages of backups, restores, deletions and
// reconciliations, and at any other moment. Other workers go on. After a reconciliation every backup
// that is listed as completed restores bit for bit, and the storage holds exactly what they need.
// Each run draws its steps and deaths from its number and the seed.
func TestBackupsSurviveWorkersThatAreKilledAnywhere(t *testing.T) {
	t.Parallel()
	inCode := boundariesOfTheCode(t)
	for _, boundary := range inCode {
		require.True(t, slices.Contains(boundaries(), boundary) != elsewhere.MatchString(boundary), "no run is killed at %s", boundary)
	}
	require.Subset(t, inCode, boundaries())
	runs := max(1, *chaosRuns)
	t.Logf("seed %d, %d runs; -chaos.seed=%[1]d -chaos.only=N makes run N again", *chaosSeed, runs)
	counted := &tally{deaths: map[string]int{}}
	var wait sync.WaitGroup
	numbers := make(chan int)
	for range chaosAtOnce {
		wait.Go(func() {
			for n := range numbers {
				t.Run(fmt.Sprintf("run%03d", n), func(t *testing.T) { chaosRun(t, n, runs, counted) })
			}
		})
	}
	for n := range runs {
		if *chaosOnly < 0 || *chaosOnly == n {
			numbers <- n
		}
	}
	close(numbers)
	wait.Wait()
	for _, boundary := range slices.Sorted(maps.Keys(counted.deaths)) {
		t.Logf("%3d died at %s", counted.deaths[boundary], boundary)
	}
	if *chaosOnly < 0 {
		for _, boundary := range boundaries() {
			require.Positive(t, counted.deaths[boundary], "no worker died at %s", boundary)
		}
	}
}
