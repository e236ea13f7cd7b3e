package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
)

// A database server and a storage location take what is sent and never answer. Each is given up after its time, as a time-out, and
// told after as many as it takes; what answers is checked meanwhile.
func TestAServerThatNeverAnswersIsATimeOutAndKeepsNothingElseFromBeingChecked(t *testing.T) {
	s := newSite(t)
	second := s.location("/second")
	s.source.silent, s.probeLimit = true, 200*time.Millisecond
	s.stores["/second"].Inject(faulty.Fault{Op: faulty.Put, Block: make(chan struct{})})
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	s.register(env)
	for range 3 {
		value, err := env.ExecuteActivity(contract.CheckPool.Name, contract.CheckPoolInput{Pool: "default"})
		require.NoError(t, err)
		var report contract.PoolReport
		require.NoError(t, value.Get(&report))
		require.Equal(t, contract.PoolReport{Datasources: map[string]int{"timeout": 1}, Storage: map[string]int{"healthy": 1, "unreachable": 1}}, report)
	}
	checks, _, err := s.d.ListHealthChecks(t.Context(), s.job.DatasourceID, db.Page{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, domain.HealthTimeout, checks[0].Status)
	require.Contains(t, checks[0].ErrorMessage, "orders")
	source, err := s.d.GetDatasource(t.Context(), s.job.DatasourceID)
	require.NoError(t, err)
	require.Equal(t, domain.DatasourceCritical, source.Status)
	stored, _, err := s.d.ListStorageHealthChecks(t.Context(), second, db.Page{Limit: 10})
	require.NoError(t, err)
	require.Len(t, stored, 3)
	require.Equal(t, domain.HealthTimeout, stored[0].Status)
	for kind, entity := range map[string]string{"connection_lost": s.job.DatasourceID, "storage_unreachable": second} {
		require.Equal(t, 1, dbtest.Count(t, s.url, `SELECT count(*) FROM notifications WHERE type::text = $1 AND entity_id::text = $2`, kind, entity), kind)
	}
}
