package activities_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
)

// stager is the source as a target; it counts what is dropped.
type stager struct {
	*source
	engine.Stager
	dropped []string
}

func (s *stager) Discard(_ context.Context, _ engine.Source, req engine.StageRequest) error {
	s.dropped = append(s.dropped, req.Token)
	return nil
}

func TestOnlyTheStagingOfARestoreThatFailedIsDropped(t *testing.T) {
	s := newSite(t)
	target := &stager{source: s.source}
	for name, c := range map[string]struct {
		end     domain.ExecutionStatus // "" it goes on
		drops   bool
		message string
	}{
		"terminated":                          {end: domain.Failed, drops: true},
		"cancelled":                           {end: domain.Cancelled, drops: true},
		"completed, which may keep it":        {end: domain.Completed},
		"reset, so that it goes on after all": {message: "it has not ended"},
	} {
		t.Run(name, func(t *testing.T) {
			target.dropped = nil
			id := uuid.NewString()
			_, err := s.d.CreateExecution(t.Context(), db.Execution{ID: id, DatasourceID: &s.job.DatasourceID, Metadata: domain.ExecutionMetadata{
				Operation: domain.OperationRestore, Trigger: domain.TriggerManual, Restore: &domain.RestoreOptions{TargetDatasourceID: s.job.DatasourceID},
			}})
			require.NoError(t, err)
			_, err = s.d.BeginExecution(t.Context(), id, "w", "r")
			require.NoError(t, err)
			if c.end != "" {
				require.NoError(t, s.d.FinishExecution(t.Context(), id, db.Finish{Status: c.end}))
			}
			var suite testsuite.WorkflowTestSuite
			env := suite.NewTestActivityEnvironment()
			activities.New(activities.Options{
				DB: s.d, Engines: map[domain.DatasourceType]engine.Engine{domain.Postgres: target}, Tuning: activities.DefaultTuning(),
				Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
			}).Register(env)
			_, err = env.ExecuteActivity(contract.DropStaging.Name, contract.ExecutionRef{ExecutionID: id})
			if c.message != "" {
				require.ErrorContains(t, err, c.message)
			} else {
				require.NoError(t, err)
			}
			if c.drops {
				require.Equal(t, []string{domain.ID8(id)}, target.dropped)
			} else {
				require.Empty(t, target.dropped)
			}
		})
	}
}
