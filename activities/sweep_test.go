package activities_test

import (
	"io"
	"path"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// An import records a copy under the name that it has on its location, which is not always the backup's own. Its manifest is no
// leftover of an attempt, however old it is.
func TestTheManifestOfACopyWithANameOfItsOwnIsNotSwept(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyReplicate)
	s.source.fill(1, mib)
	e := s.backup(options(domain.Full))
	s.requireGood(e)
	store, own := s.stores["/second"], e.Metadata.ManifestPath
	dir := path.Dir(path.Dir(path.Dir(own)))
	named, leftover := archive.ManifestKey(dir, e.CreatedAt, e.ID, 7), archive.ManifestKey(dir, e.CreatedAt, e.ID, 8)
	body, err := store.Get(t.Context(), own, 0, -1)
	require.NoError(t, err)
	manifest, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	s.put("/second", named, string(manifest))
	s.put("/second", leftover, string(manifest))
	require.NoError(t, store.Delete(t.Context(), own))
	require.NoError(t, s.d.PutReplica(t.Context(), db.Replica{ExecutionID: e.ID, StorageLocationID: second, ManifestPath: named}))

	s.disks["/second"].age = 48 * time.Hour
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	s.register(env)
	value, err := env.ExecuteActivity(contract.SweepStorage.Name, contract.ReconcileInput{StorageID: second})
	require.NoError(t, err)
	var result contract.ReconcileResult
	require.NoError(t, value.Get(&result))
	require.Equal(t, contract.Removed{Objects: 1, Bytes: int64(len(manifest))}, result.Orphans)
	left := s.contentsOf(store)
	require.Contains(t, left, named)
	require.NotContains(t, left, leftover, "nothing names it")
	e.Metadata.ManifestPath = named
	s.requireReadsFrom(second, e, s.source.content())
}
