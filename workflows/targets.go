package workflows

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// storageAttempts is how often a failing storage location is tried while there is another one to try.
// With the pauses between them it is about half a minute; a store that says that it is full, or refuses
// the credentials, is not tried again at all.
const storageAttempts = 5

// storageFailed reports whether a step failed because of a storage location, so that another one may do.
func storageFailed(err error) bool {
	var application *temporal.ApplicationError
	if temporal.IsCanceledError(err) || !errors.As(err, &application) || !application.HasDetails() {
		return false
	}
	var hint string
	var side failure.Side
	return application.Details(&hint, &side) == nil && side == failure.Storage
}

// failedPlace is a storage location that was tried in vain.
type failedPlace struct {
	place contract.Place
	why   contract.FinishInput
}

// everyPlaceFailed is the error of work that no storage location would do: it names each of them, and what
// was wrong with it.
func everyPlaceFailed(what string, failed []failedPlace) error {
	if len(failed) == 0 {
		return nil
	}
	texts := make([]string, len(failed))
	for i, f := range failed {
		texts[i] = f.text()
	}
	first := failed[0].why
	return temporal.NewApplicationErrorWithOptions(what+": "+strings.Join(texts, "; "), first.FailureClass,
		temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{first.Hint, failure.Storage}})
}

// text is what was wrong, with the name of the location, which most messages have already.
func (f failedPlace) text() string {
	about := `storage location "` + f.place.Name + `"`
	if strings.Contains(f.why.Message, about) {
		return f.why.Message
	}
	return about + ": " + f.why.Message
}

// place makes the backup on the first of its storage locations that takes it. Only a failure of the
// storage makes it try the next; what the location before had got is removed, as far as it can be reached.
func (b *backup) place(ctx workflow.Context) error {
	began := workflow.Now(ctx)
	for i, target := range b.plan.Targets {
		b.in.Labels.Storage = target.Name
		b.last = i == len(b.plan.Targets)-1
		err := b.placeOn(ctx, target, i > 0)
		if err == nil {
			b.report(ctx, b.placed(target))
			return nil
		}
		if !storageFailed(err) {
			return err
		}
		failed := failedPlace{target, outcome(err)}
		b.failed = append(b.failed, failed)
		b.report(ctx, contract.TargetReport{Result: failed.result()})
		if b.last {
			break
		}
		b.leave(ctx)
		if b.spent = workflow.Now(ctx).Sub(began); b.limit() < time.Minute {
			return everyPlaceFailed("no time is left for another storage location (timeout_minutes)", b.failed)
		}
	}
	return everyPlaceFailed("no storage location took the backup", b.failed)
}

// placeOn dumps and verifies on one location. The attempts on each get numbers of their own.
func (b *backup) placeOn(ctx workflow.Context, target contract.Place, moved bool) error {
	if moved {
		b.attempts += b.stride()
		_, err := contract.MoveBackup.Execute(b.record(ctx, "Go on with "+target.Name), contract.MoveInput{
			ExecutionID: b.in.ExecutionID, StorageLocationID: target.StorageID, AttemptsBefore: b.attempts,
		})
		if err != nil {
			return err
		}
	}
	if err := b.dump(ctx); err != nil {
		return err
	}
	return b.verify(ctx)
}

// stride is more than the attempts that one location can have, as good as never where they are not bounded.
func (b *backup) stride() int32 {
	return tries(max(b.plan.Attempts, 1)) + 1
}

// leave removes what a location got that another one replaces. It is not waited for long: what stays is
// found by the location's reconciliation.
func (b *backup) leave(ctx workflow.Context) {
	uncancelled, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	b.tell(uncancelled, domain.PhaseCleaning, "%s failed; removing what it got", b.in.Labels.Storage)
	_, err := contract.DiscardBackup.Execute(b.briefly(uncancelled, "Remove what was stored on "+b.in.Labels.Storage), contract.DiscardInput{
		ExecutionID: b.in.ExecutionID, Before: b.attempts + b.stride(),
	})
	if err != nil {
		workflow.GetLogger(ctx).Warn("leftovers stay on a storage location", "execution", b.in.ExecutionID, "storage", b.in.Labels.Storage, "error", err)
	}
}

// patience is how often the storage is tried where the backup is now.
func (b *backup) patience() int32 {
	if len(b.plan.Targets) < 2 || b.last {
		return 0
	}
	return storageAttempts
}

// placed is the report about the location that has the backup.
func (b *backup) placed(target contract.Place) contract.TargetReport {
	report := contract.TargetReport{Result: domain.StorageResult{
		StorageLocationID: target.StorageID, Name: target.Name, Status: domain.TargetCompleted, Objects: b.dumped.Chunks, Bytes: b.dumped.StoredBytes,
	}}
	if len(b.failed) > 0 {
		texts := make([]string, len(b.failed))
		for i, f := range b.failed {
			texts[i] = f.text()
		}
		report.Warning = fmt.Sprintf("the backup went to storage location %q, because: %s", target.Name, strings.Join(texts, "; "))
	}
	return report
}

// result is what metadata.storage_results says about a failed location.
func (f failedPlace) result() domain.StorageResult {
	return domain.StorageResult{
		StorageLocationID: f.place.StorageID, Name: f.place.Name, Status: domain.TargetFailed,
		FailureClass: f.why.FailureClass, Error: f.why.Message, Hint: f.why.Hint,
	}
}

// report records what became of a location. Not being able to changes nothing of that.
func (e *execution) report(ctx workflow.Context, r contract.TargetReport) {
	uncancelled, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	r.ExecutionID = e.in.ExecutionID
	if _, err := contract.RecordTarget.Execute(e.record(uncancelled, "Record the result on "+r.Result.Name), r); err != nil {
		workflow.GetLogger(ctx).Error("a storage result was not recorded", "execution", r.ExecutionID, "storage", r.Result.Name, "error", err)
	}
}
