package integration

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

var (
	chaosRuns = flag.Int("chaos.runs", 10, "runs in which workers are killed; together they kill at every boundary")
	chaosSeed = flag.Uint64("chaos.seed", 1, "seed of the runs")
	chaosOnly = flag.Int("chaos.only", -1, "the only run to make again")
)

// chaosAtOnce is how many runs go on at the same time: most of a run is waiting for Temporal to find
// out that a worker is gone.
const chaosAtOnce = 6

// Where each kind of step can be killed.
var (
	anyExecution = []string{"begin.recorded", "finish.recorded"}
	dumpPoints   = []string{
		"dump.claimed", "dump.parent_claimed", "dump.manifest_path_recorded", "dump.batch_recorded",
		"dump.manifest_written", "dump.result_recorded", "dump.rows_recorded", "dump.verified", "verify.recorded",
	}
	// afterADeath come only where a backup was killed or given up before.
	afterADeath    = []string{"dump.made_full", "dump.leftovers_removed"}
	discardPoints  = []string{"discard.manifest_removed", "discard.objects_removed", "discard.rows_removed"}
	restorePoints  = []string{"restore.target_checked", "restore.archive_checked", "restore.staged", "restore.report_recorded", "restore.promoted", "restore.discarded"}
	deletePoints   = []string{"delete.marked", "delete.manifest_removed", "delete.batch_removed", "delete.objects_removed", "delete.rows_removed"}
	reconcilePoint = []string{"reconcile.manifests_removed", "reconcile.batch_removed", "reconcile.objects_removed"}
	// elsewhere are boundaries of verifications of old backups and of imports, which change no backup;
	// and of healing, at which verify_test.go kills a worker. activities/replicate_test.go ends the copying to
	// further storage locations at each of its boundaries, replication_test.go kills a worker at one. activities/fallback_test.go dies at move.recorded.
	// sync_test.go kills workers in both halves of a sync.
	// notify_test.go kills workers between the deliveries of notifications.
	elsewhere = regexp.MustCompile(`^(notify\..*|verify\.(checked|announced)|heal\..*|import\..*|sync\..*|drill\..*|replicate\..*|target\.recorded|move\.recorded)$`)
)

func boundaries() []string {
	return slices.Concat(anyExecution, deletePoints[:1], dumpPoints, afterADeath, discardPoints, restorePoints, deletePoints[1:], reconcilePoint)
}

// tally counts at what workers have died.
type tally struct {
	mu     sync.Mutex
	deaths map[string]int
}

func (c *tally) died(at string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaths[at]++
}

// boundariesOfTheCode are the names that the activities announce.
func boundariesOfTheCode(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("../activities/*.go")
	require.NoError(t, err)
	call := regexp.MustCompile(`\.at\("([a-z_.]+)"\)`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range call.FindAllStringSubmatch(string(text), -1) {
			if !strings.HasSuffix(file, "_test.go") && file != "../activities/boundary.go" {
				names = append(names, found[1])
			}
		}
	}
	require.NotEmpty(t, names)
	slices.Sort(names)
	return slices.Compact(names)
}

// chaos is one run: its own database, storage location, job and pool.
type chaos struct {
	*setup
	t        *testing.T
	rng      *rand.Rand
	keeper   *keeper
	targets  []string          // boundaries at which this run kills in any case
	expected map[string]string // content of each backup, by execution id
	restores []client.Execution
	changes  int
}

// targetsOf are the boundaries at which one of so many runs kills: each is the target of a run at least.
func targetsOf(n, runs int) (targets []string) {
	all := boundaries()
	for i := n % len(all); i < len(all); i += runs {
		targets = append(targets, all[i])
	}
	return targets
}

func chaosRun(t *testing.T, n, runs int, counted *tally) {
	pool := fmt.Sprintf("chaos-%d", n)
	c := &chaos{
		t: t, rng: rand.New(rand.NewPCG(*chaosSeed, uint64(n))), targets: targetsOf(n, runs), expected: map[string]string{}, //nolint:gosec // reproducible
		keeper: &keeper{t: t, pool: pool, tally: counted},
	}
	options := domain.BackupOptions{BackupType: domain.Incremental, Verify: domain.VerifyFull, FullEvery: 1 + c.rng.IntN(4)}
	if c.aims("dump.parent_claimed") {
		options.FullEvery = 8
	}
	if c.rng.IntN(4) == 0 {
		options.ParallelJobs = 2
	}
	c.setup = makeSetup(t, withNoise(6), withRows(200), withPool(pool), withOptions(options))
	c.keeper.start(nil)
	t.Cleanup(c.keeper.stop)
	t.Logf("targets %v, %d jobs, a full after %d increments", c.targets, options.ParallelJobs, options.FullEvery)
	c.backUpUnder(domain.Incremental, c.aimed("dump.made_full")...)
	for _, target := range c.targets {
		if c.rng.IntN(2) == 0 {
			c.randomStep()
		}
		c.aimedStep(target)
	}
	c.randomStep()
	c.check()
}

func (c *chaos) aims(at string) bool { return slices.Contains(c.targets, at) }

// aimed is the death at a target of the run, if it is one.
func (c *chaos) aimed(at string) []death {
	if !c.aims(at) {
		return nil
	}
	return []death{{boundary: at, nth: 1}}
}

// pick chooses one.
func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// someDeaths are none, one or two of those that are possible, or at any moment.
func (c *chaos) someDeaths(at ...string) (deaths []death) {
	for range c.rng.IntN(3) {
		d := death{boundary: pick(c.rng, append(at, "", "")...), nth: 1 + c.rng.IntN(4)/3}
		if d.boundary == "" {
			d.after = jitter(c.rng)
		}
		deaths = append(deaths, d)
	}
	return deaths
}
