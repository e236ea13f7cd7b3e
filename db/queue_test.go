package db_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
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

// Who got a place keeps it until others have tried to get one, so that the limits are reached all the time, and every end is
// raced for by all who wait.
func TestNoLimitIsPassedByManyAtOnce(t *testing.T) {
	const executions, global, perDatasource = 24, 4, 2
	q := newQueue(t, domain.ConcurrencySettings{Global: global, PerDatasource: perDatasource})
	// The moment between looking for a place and taking it is made long: who does not hold the lock is seen.
	dbtest.Execute(t, q.url, `CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.015); RETURN NEW; END'`)
	dbtest.Execute(t, q.url, `CREATE TRIGGER take_time BEFORE UPDATE ON backup_executions FOR EACH ROW
		WHEN (OLD.status = 'queued' AND (NEW.status = 'running' OR NEW.admitted_at IS DISTINCT FROM OLD.admitted_at)) EXECUTE FUNCTION take_time()`)
	var tries, ended atomic.Int64
	var mu sync.Mutex
	running, most := map[string]int{}, map[string]int{}
	count := func(datasource string, n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, of := range []string{"all", datasource} {
			running[of] += n
			most[of] = max(most[of], running[of])
		}
	}
	type queued struct{ id, datasource string }
	work := make(chan queued, executions)
	for i := range executions {
		datasource := []string{"a", "b", "c"}[i%3]
		work <- queued{q.queued(datasource, "a"), datasource}
	}
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for ended.Load() < executions {
				var e queued
				select {
				case e = <-work:
				default:
					continue
				}
				_, waiting, err := q.d.BeginOrWait(t.Context(), e.id, "w", "r")
				tries.Add(1)
				if err != nil || waiting != "" {
					work <- e
					continue
				}
				count(e.datasource, 1)
				for tried := tries.Load(); tries.Load() < tried+3 && len(work) > 0; {
					runtime.Gosched()
				}
				count(e.datasource, -1)
				if assert.NoError(t, q.d.FinishExecution(t.Context(), e.id, db.Finish{Status: domain.Completed})) {
					ended.Add(1)
				}
			}
		})
	}
	workers.Wait()
	for _, datasource := range []string{"a", "b", "c"} {
		require.LessOrEqual(t, most[datasource], perDatasource)
	}
	require.LessOrEqual(t, most["all"], global)
	require.GreaterOrEqual(t, most["all"], global-1, "there was a race for the last place")
	require.Equal(t, int64(executions), ended.Load())
}

// One needs a datasource and a storage location that are never free at the same moment, because others take each as soon as it
// is.
func TestWhoNeedsTwoPlacesIsNotOvertakenForEver(t *testing.T) {
	q := newQueue(t, domain.ConcurrencySettings{PerDatasource: 1, PerStorage: 1})
	atDatasource, atStorage := q.queued("a", "b"), q.queued("b", "a")
	require.Empty(t, q.begin(atDatasource))
	require.Empty(t, q.begin(atStorage))
	both := q.queued("a", "a")
	require.NotEmpty(t, q.begin(both))
	overtake := func() (late string) {
		late = q.queued("a", "c")
		require.Empty(t, q.finish(atDatasource), "its storage location is in use")
		return late
	}
	late := overtake()
	require.Empty(t, q.begin(late), "it is no use to keep the datasource free at once")
	atDatasource = late

	dbtest.Execute(t, q.url, `UPDATE backup_executions SET waiting_since = waiting_since - interval '61 minutes' WHERE id = $1`, both)
	late = overtake()
	require.Equal(t, `datasource "a", which is in use (1 of 1)`, q.begin(late), "it is kept for who has waited for an hour")
	other := q.queued("b", "b")
	require.NotEmpty(t, q.begin(other))
	require.Equal(t, []string{both, other}, q.finish(atStorage), "nobody but those behind it waited for it")
	require.Empty(t, q.begin(both))
	require.NotEmpty(t, q.begin(late))
	require.Contains(t, q.finish(both), late)
}

func (q *queueOf) waitsForAnHour(id string) {
	q.t.Helper()
	require.NotEmpty(q.t, q.begin(id))
	dbtest.Execute(q.t, q.url, `UPDATE backup_executions SET waiting_since = waiting_since - interval '61 minutes' WHERE id = $1`, id)
}

// unserved tells people that no worker serves a pool, or that one does again, and lets in who waits.
func (q *queueOf) unserved(pool string, told domain.HealthAnnouncement) {
	q.t.Helper()
	require.NoError(q.t, q.d.MoveHealth(q.t.Context(), domain.CheckedPool, pool, func(domain.HealthState) (domain.HealthState, *db.Notification) {
		return domain.HealthState{Announced: told}, nil
	}))
	require.NoError(q.t, q.d.AdmitWaiting(q.t.Context()))
}

func TestWhoIsInTheQueueAlreadyOvertakesNobodyWhoNeedsTwoPlaces(t *testing.T) {
	q := newQueue(t, domain.ConcurrencySettings{PerDatasource: 1, PerStorage: 1})
	atDatasource, atStorage, both, late := q.queued("a", "b"), q.queued("b", "a"), q.queued("a", "a"), q.queued("a", "c")
	require.Empty(t, q.begin(atDatasource))
	require.Empty(t, q.begin(atStorage))
	q.waitsForAnHour(both)
	require.NotEmpty(t, q.begin(late))
	require.Empty(t, q.finish(atDatasource), "its datasource is kept for it")
	require.NotEmpty(t, q.begin(late), "whoever asks")
	require.Equal(t, []string{both}, q.finish(atStorage))
}

func TestNothingIsKeptForWhoCouldNotBeginWithIt(t *testing.T) {
	q := newQueue(t, domain.ConcurrencySettings{PerDatasource: 1, PerStorage: 1})
	dbtest.Execute(t, q.url, `UPDATE datasources SET pool = 'site-b' WHERE name = 'b'`)
	holds, first, second := q.queued("b", "a"), q.queued("a", "a"), q.queued("c", "a")
	require.Empty(t, q.begin(holds))
	q.waitsForAnHour(first)
	q.waitsForAnHour(second)
	behindSecond := q.queued("c", "c")
	require.Empty(t, q.begin(behindSecond), "the place at the location that is given back is another's")
	behindFirst := q.queued("a", "b")
	require.NotEmpty(t, q.begin(behindFirst), "it is the next there")

	q.unserved("site-b", domain.ToldNotServed)
	require.Empty(t, q.begin(behindFirst), "the location's place may not be given back for days")
	q.finish(behindFirst)
	require.Empty(t, q.begin(q.queued("a", "b")), "nor for who comes now")
}

func TestAPoolWithoutWorkersKeepsNoPlaceOfThePlatform(t *testing.T) {
	q := newQueue(t, domain.ConcurrencySettings{Global: 1, PerDatasource: 1})
	dbtest.Execute(t, q.url, `UPDATE datasources SET pool = 'site-b' WHERE name IN ('a', 'b')`)
	lost := q.queued("a", "a")
	require.Empty(t, q.begin(lost))
	behind, elsewhere := q.queued("b", "b"), q.queued("c", "c")
	require.NotEmpty(t, q.begin(behind))
	require.NotEmpty(t, q.begin(elsewhere))

	q.unserved("site-b", domain.ToldNotServed)
	rows, err := q.d.AdmittedExecutions(t.Context())
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, elsewhere, rows[0].ID, "the platform's place is another pool's, and who waits in the dead pool does not take it")
	require.Contains(t, q.begin(q.queued("a", "c")), `datasource "a"`, "its datasource is in use all the same")
	require.Empty(t, q.begin(elsewhere))
	q.finish(elsewhere)
	q.unserved("site-b", domain.AllWell)
	require.Contains(t, q.begin(behind), "the end of another execution", "the pool is back, and what runs in it counts")
	require.Contains(t, q.finish(lost), behind)
}

func TestADirectSyncNeedsAPlaceAtBothItsDatasources(t *testing.T) {
	q := newQueue(t, domain.DefaultConcurrency())
	into, from := q.datasources["a"], q.datasources["b"]
	sync, err := q.d.CreateExecution(t.Context(), db.Execution{DatasourceID: &into, Metadata: domain.ExecutionMetadata{
		Operation: domain.OperationRestore, WorkflowID: "w", Trigger: domain.TriggerSync,
		Restore: &domain.RestoreOptions{TargetDatasourceID: into, SourceDatasourceID: from},
	}})
	require.NoError(t, err)
	backup := q.queued("b", "b")
	require.Empty(t, q.begin(backup))
	require.Equal(t, `datasource "b", which is in use (1 of 1)`, q.begin(sync.ID))
	require.Equal(t, []string{sync.ID}, q.finish(backup))
	require.Empty(t, q.begin(sync.ID))
	for _, name := range []string{"a", "b"} {
		require.Contains(t, q.begin(q.queued(name, "c")), "which is in use", name)
	}
}
