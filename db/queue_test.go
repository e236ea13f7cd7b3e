package db_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// queueOf makes executions that have a datasource and a storage location of a few.
type queueOf struct {
	t                    *testing.T
	url                  string
	d                    *db.DB
	datasources, storage map[string]string
}

func newQueue(t *testing.T, limits domain.ConcurrencySettings) *queueOf {
	t.Helper()
	url := dbtest.URL(t)
	q := &queueOf{t: t, url: url, d: dbtest.Open(t, url), datasources: map[string]string{}, storage: map[string]string{}}
	require.NoError(t, q.d.SetConcurrencySettings(t.Context(), limits, ""))
	for _, name := range []string{"a", "b", "c"} {
		datasource, err := q.d.CreateDatasource(t.Context(), db.Datasource{Name: name, Type: domain.Postgres, Enabled: true})
		require.NoError(t, err)
		storage, err := q.d.CreateStorageLocation(t.Context(), db.StorageLocation{
			Name: name, Type: domain.StorageLocal, Enabled: true, Config: domain.StorageConfig{Path: "/" + name},
		})
		require.NoError(t, err)
		q.datasources[name], q.storage[name] = datasource.ID, storage.ID
	}
	return q
}

func (q *queueOf) queued(datasource, storage string) string {
	q.t.Helper()
	d, s := q.datasources[datasource], q.storage[storage]
	row, err := q.d.CreateExecution(q.t.Context(), db.Execution{DatasourceID: &d, StorageLocationID: &s, Metadata: domain.ExecutionMetadata{
		Operation: domain.OperationRestore, WorkflowID: "w", Trigger: domain.TriggerManual,
	}})
	require.NoError(q.t, err)
	return row.ID
}

// begin returns what the execution waits for.
func (q *queueOf) begin(id string) string {
	q.t.Helper()
	_, waiting, err := q.d.BeginOrWait(q.t.Context(), id, "w", "r")
	require.NoError(q.t, err)
	return waiting
}

func (q *queueOf) finish(id string) (admitted []string) {
	q.t.Helper()
	require.NoError(q.t, q.d.FinishExecution(q.t.Context(), id, db.Finish{Status: domain.Completed}))
	rows, err := q.d.AdmittedExecutions(q.t.Context())
	require.NoError(q.t, err)
	for _, row := range rows {
		admitted = append(admitted, row.ID)
	}
	return admitted
}

func TestWhoWaitsIsLetInInOrderWhenAPlaceIsFree(t *testing.T) {
	q := newQueue(t, domain.ConcurrencySettings{Global: 3, PerDatasource: 1, PerStorage: 2})
	first, second, third, other := q.queued("a", "a"), q.queued("a", "b"), q.queued("a", "b"), q.queued("b", "b")
	require.Empty(t, q.begin(first))
	require.Empty(t, q.begin(first), "a second try of the same changes nothing")
	require.Equal(t, `datasource "a", which is in use (1 of 1)`, q.begin(second))
	require.Equal(t, `datasource "a", which is in use (1 of 1)`, q.begin(third))
	require.Empty(t, q.begin(other), "who can not begin keeps nobody else waiting")
	row, err := q.d.GetExecution(t.Context(), second)
	require.NoError(t, err)
	require.Equal(t, domain.Queued, row.Status)
	require.Contains(t, row.WaitingFor, `datasource "a"`)

	require.Equal(t, []string{second}, q.finish(first), "the longest first, and only as many as there are places")
	late := q.queued("a", "c")
	require.NotEmpty(t, q.begin(late), "who was let in holds its place already")
	require.Empty(t, q.begin(second))
	row, err = q.d.GetExecution(t.Context(), second)
	require.NoError(t, err)
	require.Equal(t, domain.Running, row.Status)
	require.Empty(t, row.WaitingFor)
	require.Equal(t, []string{third}, q.finish(second))
}

func TestWhoWasLetInAndHasNoWorkerKeepsNobodyWaiting(t *testing.T) {
	q := newQueue(t, domain.ConcurrencySettings{Global: 1})
	first, stranded, second := q.queued("a", "a"), q.queued("b", "b"), q.queued("c", "c")
	require.Empty(t, q.begin(first))
	require.NotEmpty(t, q.begin(stranded))
	require.Equal(t, []string{stranded}, q.finish(first))
	require.NotEmpty(t, q.begin(second))
	dbtest.Execute(t, q.url, `UPDATE backup_executions SET admitted_at = admitted_at - interval '16 minutes' WHERE id = $1`, stranded)
	require.Empty(t, q.begin(second))
	require.NotEmpty(t, q.begin(stranded), "its worker is back, and its place is taken")
	require.Equal(t, []string{stranded}, q.finish(second), "it is in line again")
	require.Empty(t, q.begin(stranded))
}

func TestAnExecutionEndsWhateverTheLimitsAre(t *testing.T) {
	q := newQueue(t, domain.DefaultConcurrency())
	id := q.queued("a", "a")
	require.Empty(t, q.begin(id))
	dbtest.Execute(t, q.url, `UPDATE system_settings SET value = '"many"' WHERE key = $1`, domain.SettingConcurrencyGlobal)
	q.finish(id)
	row, err := q.d.GetExecution(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, row.Status)
}

func TestEveryLimitIsNamed(t *testing.T) {
	q := newQueue(t, domain.ConcurrencySettings{Global: 2, PerDatasource: 1, PerStorage: 1})
	require.Empty(t, q.begin(q.queued("a", "a")))
	require.Empty(t, q.begin(q.queued("b", "b")))
	require.Equal(t, `datasource "a", which is in use (1 of 1), and for storage location "a", which is in use (1 of 1), `+
		`and for the end of another execution (2 of 2 run)`, q.begin(q.queued("a", "a")))
	require.Equal(t, "the end of another execution (2 of 2 run)", q.begin(q.queued("c", "c")))
	require.NoError(t, q.d.SetConcurrencySettings(t.Context(), domain.ConcurrencySettings{}, ""))
	require.Empty(t, q.begin(q.queued("a", "a")), "without limits nothing waits")
}

func TestAnExecutionThatEndsInTheQueueGivesItsPlaceOn(t *testing.T) {
	q := newQueue(t, domain.DefaultConcurrency())
	first, second, third := q.queued("a", "a"), q.queued("a", "a"), q.queued("a", "a")
	require.Empty(t, q.begin(first))
	require.NotEmpty(t, q.begin(second))
	require.NotEmpty(t, q.begin(third))
	require.Equal(t, []string{second}, q.finish(first))
	closed, err := q.d.FinishWhile(t.Context(), second, domain.Queued, db.Finish{Status: domain.Failed, ErrorMessage: "its workflow is gone"})
	require.NoError(t, err)
	require.True(t, closed)
	admitted, err := q.d.AdmittedExecutions(t.Context())
	require.NoError(t, err)
	require.Equal(t, third, admitted[0].ID)
}

func TestNoLimitIsPassedByManyAtOnce(t *testing.T) {
	q := newQueue(t, domain.ConcurrencySettings{Global: 5, PerDatasource: 2})
	const executions = 40
	var running, most, ended atomic.Int64
	work := make(chan string, executions)
	for i := range executions {
		work <- q.queued([]string{"a", "b", "c"}[i%3], "a")
	}
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for ended.Load() < executions {
				select {
				case id := <-work:
					_, waiting, err := q.d.BeginOrWait(t.Context(), id, "w", "r")
					if err != nil || waiting != "" {
						work <- id
						continue
					}
					for n := running.Add(1); ; {
						if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
							break
						}
					}
					running.Add(-1)
					if q.d.FinishExecution(t.Context(), id, db.Finish{Status: domain.Completed}) == nil {
						ended.Add(1)
					}
				default:
				}
			}
		})
	}
	workers.Wait()
	require.LessOrEqual(t, most.Load(), int64(5))
	require.Equal(t, int64(executions), ended.Load())
}
