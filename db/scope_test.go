package db_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// TestListsShowExactlyWhatASingleReadFinds compares the two places that decide on a scope, domain.Scope.Allows
// and scope_allows of the database, over scopes made at random.
func TestListsShowExactlyWhatASingleReadFinds(t *testing.T) {
	d := dbtest.New(t)
	var datasources, storages, jobs, executions []string
	for i := range 4 {
		job := newJob(t, d, fmt.Sprintf("job %d", i))
		datasources, storages, jobs = append(datasources, job.DatasourceID), append(storages, job.StorageLocationID), append(jobs, job.ID)
		executions = append(executions, newExecution(t, d, job).ID)
		restore, err := d.CreateExecution(t.Context(), db.Execution{
			DatasourceID: &job.DatasourceID, Metadata: domain.ExecutionMetadata{Operation: domain.OperationRestore, Trigger: domain.TriggerManual},
		})
		require.NoError(t, err)
		executions = append(executions, restore.ID)
	}
	ids := map[domain.ScopeKind][]string{domain.ScopeDatasource: datasources, domain.ScopeStorageLocation: storages, domain.ScopeBackupJob: jobs}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	limits := func(kinds int) []domain.Limit {
		var out []domain.Limit
		for range kinds {
			kind := domain.ScopeKinds()[random.IntN(3)]
			selector := domain.Selector{IDs: map[string]bool{}}
			for _, id := range ids[kind] {
				if random.IntN(2) == 0 {
					selector.IDs[id] = true
				}
			}
			out = append(out, domain.Limit{Kind: kind, Selector: selector})
		}
		return out
	}
	for range 60 {
		scope := &domain.Scope{Deny: limits(random.IntN(2))}
		for range random.IntN(3) {
			scope.Any = append(scope.Any, limits(1+random.IntN(3)))
		}
		ctx := db.WithScope(t.Context(), scope)
		requireSame(t, ctx, datasources, func(id string) error { _, err := d.GetDatasource(ctx, id); return err }, func() (out []string, err error) {
			rows, _, err := d.ListDatasources(ctx, db.Page{})
			for _, row := range rows {
				out = append(out, row.ID)
			}
			return out, err
		})
		requireSame(t, ctx, storages, func(id string) error { _, err := d.GetStorageLocation(ctx, id); return err }, func() (out []string, err error) {
			rows, _, err := d.ListStorageLocations(ctx, db.Page{})
			for _, row := range rows {
				out = append(out, row.ID)
			}
			return out, err
		})
		requireSame(t, ctx, jobs, func(id string) error { _, err := d.GetBackupJob(ctx, id); return err }, func() (out []string, err error) {
			rows, _, err := d.ListBackupJobs(ctx, db.Page{})
			for _, row := range rows {
				out = append(out, row.ID)
			}
			return out, err
		})
		requireSame(t, ctx, executions, func(id string) error { _, err := d.GetExecution(ctx, id); return err }, func() (out []string, err error) {
			rows, _, err := d.ListExecutions(ctx, db.ExecutionFilter{}, db.Page{})
			for _, row := range rows {
				out = append(out, row.ID)
			}
			return out, err
		})
	}
}

// requireSame checks that a list shows what get finds of all, and nothing else.
func requireSame(t *testing.T, ctx context.Context, all []string, get func(id string) error, list func() ([]string, error)) {
	t.Helper()
	require.NoError(t, ctx.Err())
	var found []string
	for _, id := range all {
		err := get(id)
		if err == nil {
			found = append(found, id)
			continue
		}
		require.ErrorIs(t, err, db.ErrNotFound)
	}
	listed, err := list()
	require.NoError(t, err)
	require.ElementsMatch(t, found, listed)
}

func TestAPageOfALimitedListIsFull(t *testing.T) {
	d := dbtest.New(t)
	var kept []string
	for i := range 9 {
		made := newDatasource(t, d, fmt.Sprintf("datasource %d", i))
		if i%3 == 0 {
			kept = append(kept, made.ID)
		}
	}
	selector := domain.Selector{IDs: map[string]bool{}}
	for _, id := range kept {
		selector.IDs[id] = true
	}
	ctx := db.WithScope(t.Context(), &domain.Scope{Any: [][]domain.Limit{{{Kind: domain.ScopeDatasource, Selector: selector}}}})
	first, cursor, err := d.ListDatasources(ctx, db.Page{Limit: 2})
	require.NoError(t, err)
	require.Len(t, first, 2)
	second, cursor, err := d.ListDatasources(ctx, db.Page{Limit: 2, Cursor: cursor})
	require.NoError(t, err)
	require.Len(t, second, 1)
	require.Empty(t, cursor)
	_, err = d.CreateDatasource(ctx, db.Datasource{Name: "new", Type: domain.Postgres})
	require.ErrorIs(t, err, db.ErrOutOfScope)
	all, _, err := d.ListDatasources(db.Unscoped(ctx), db.Page{})
	require.NoError(t, err)
	require.Len(t, all, 9)
}
