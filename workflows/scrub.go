package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// mostUnread is how many generations a run may fail to read: after that the storage location itself
// is in trouble, and the next run may fare better.
const mostUnread = 3

// ScrubStorage reads a part of what a storage location holds, what was not read for the longest time
// first, and compares it with what was stored, so that bit rot is found while there is still a
// copy to heal it from. How much a run reads is a setting.
func ScrubStorage(ctx workflow.Context, in contract.ScrubInput) (contract.ScrubResult, error) {
	s := scrub{checking: newChecking(in.Labels, "", in.StorageLocationID), run: in}
	if err := s.start(ctx); err != nil {
		return contract.ScrubResult{}, err
	}
	failed, err := s.readAll(ctx)
	if err != nil {
		return contract.ScrubResult{}, err
	}
	result, err := contract.FinishScrub.Execute(s.record(ctx, "Record the run"), s.step(""))
	result.Unread = s.run.Without
	if err == nil && result.Backups == 0 {
		err = failed // nothing could be read, and this is why
	}
	return result, err
}

type scrub struct {
	*checking
	run contract.ScrubInput
}

func (s *scrub) step(generation string) contract.ScrubStep {
	return contract.ScrubStep{RunID: s.run.RunID, StorageLocationID: s.storageID, Generation: generation, Without: s.run.Without}
}

func (s *scrub) start(ctx workflow.Context) error {
	if s.run.RunID != "" {
		return nil
	}
	s.run.RunID = workflow.GetInfo(ctx).WorkflowExecution.RunID
	_, err := contract.StartScrub.Execute(s.record(ctx, "Record the run"), s.step(""))
	return err
}

// readAll reads generation after generation. The first error is that of the last one that could not
// be read, the second ends the workflow.
func (s *scrub) readAll(ctx workflow.Context) (failed, fatal error) {
	for len(s.run.Without) < mostUnread {
		next, err := contract.NextScrub.Execute(s.record(ctx, "Choose what is read next"), s.step(""))
		if err != nil || next.Generation == "" {
			return failed, err
		}
		s.tell(ctx, domain.PhaseVerifying, "Reading generation %s", next.Generation)
		_, err = s.untilHealed(ctx, func(ctx workflow.Context) (contract.CopyCheck, error) {
			return contract.CheckGeneration.Execute(s.long(ctx, "Read generation "+next.Generation), s.step(next.Generation))
		})
		var cancelled *temporal.CanceledError
		if errors.As(err, &cancelled) {
			return failed, err
		}
		if err != nil {
			workflow.GetLogger(ctx).Warn("a generation could not be read", "generation", next.Generation, "error", err)
			s.run.Without, failed = append(s.run.Without, next.Generation), err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return nil, workflow.NewContinueAsNewError(ctx, contract.ScrubStorage.Name, s.run)
		}
	}
	return failed, nil
}
