package workflows_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/workflows"
)

// rot stands in for the activities of a verification and a scrub.
type rot struct {
	env         *testsuite.TestWorkflowEnvironment
	damaged     int64 // what a check finds now
	healable    int64 // how much of it a copy has
	generations []string
	fail        map[string]error
	called      []string
	notes       []string
	logged      []string
}

func newRot(t *testing.T) *rot {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	r := &rot{env: suite.NewTestWorkflowEnvironment(), fail: map[string]error{}}
	check := func() contract.CopyCheck {
		return contract.CopyCheck{OK: r.damaged == 0, Backups: 1, Objects: 10, Bytes: 1000, Damaged: r.damaged}
	}
	contract.CheckCopy.Register(r.env, func(_ context.Context, in contract.CopyRef) (contract.CopyCheck, error) {
		return check(), r.step("check " + string(in.Mode))
	})
	contract.CheckGeneration.Register(r.env, func(_ context.Context, in contract.ScrubStep) (contract.CopyCheck, error) {
		return check(), r.step("read " + in.Generation)
	})
	contract.HealStorage.Register(r.env, func(context.Context, contract.StorageRef) (contract.HealResult, error) {
		result := contract.HealResult{Healed: r.healable, Left: r.damaged - r.healable, Notes: []string{"no copy"}}
		r.damaged, r.healable = r.damaged-r.healable, 0
		return result, r.step("heal")
	})
	contract.AnnounceDamage.Register(r.env, func(_ context.Context, in contract.AnnounceInput) (contract.Nothing, error) {
		r.notes = in.Notes
		return contract.Nothing{}, r.step("announce")
	})
	contract.LogExecution.Register(r.env, func(_ context.Context, in contract.LogInput) (contract.Nothing, error) {
		r.logged = append(r.logged, in.Message)
		return contract.Nothing{}, r.step("log")
	})
	contract.StartScrub.Register(r.env, func(context.Context, contract.ScrubStep) (contract.Nothing, error) {
		return contract.Nothing{}, r.step("start")
	})
	contract.NextScrub.Register(r.env, func(_ context.Context, in contract.ScrubStep) (contract.ScrubNext, error) {
		if len(r.generations) == 0 {
			return contract.ScrubNext{}, r.step("next")
		}
		next := r.generations[0]
		r.generations = r.generations[1:]
		return contract.ScrubNext{Generation: next}, r.step("next")
	})
	contract.FinishScrub.Register(r.env, func(context.Context, contract.ScrubStep) (contract.ScrubResult, error) {
		return contract.ScrubResult{}, r.step("finish")
	})
	return r
}

func (r *rot) step(name string) error {
	r.called = append(r.called, name)
	return r.fail[name]
}

func (r *rot) verify(t *testing.T) (result contract.VerifyBackupResult) {
	t.Helper()
	r.env.ExecuteWorkflow(workflows.VerifyBackup, contract.VerifyBackupInput{BackupID: "b1", StorageLocationID: "s1", Mode: domain.VerifyFull})
	if r.env.GetWorkflowError() == nil {
		require.NoError(t, r.env.GetWorkflowResult(&result))
	}
	return result
}

func TestAGoodBackupIsVerifiedAndNobodyIsTold(t *testing.T) {
	r := newRot(t)
	require.Equal(t, contract.VerifyBackupResult{OK: true, Objects: 10, Bytes: 1000}, r.verify(t))
	require.Equal(t, []string{"check full"}, r.called)
}

func TestDamageIsHealedCheckedAgainAndThenTold(t *testing.T) {
	r := newRot(t)
	r.damaged, r.healable = 3, 3
	require.Equal(t, contract.VerifyBackupResult{OK: true, Objects: 10, Bytes: 1000, Healed: 3}, r.verify(t))
	require.Equal(t, []string{"check full", "heal", "check full", "announce"}, r.called)
}

func TestWhatNoCopyHasIsTold(t *testing.T) {
	r := newRot(t)
	r.damaged, r.healable = 3, 1
	result := r.verify(t)
	require.False(t, result.OK)
	require.Equal(t, int64(2), result.Damaged)
	require.Equal(t, []string{"check full", "heal", "check full", "heal", "announce"}, r.called)
	require.Equal(t, []string{"no copy"}, r.notes)
}

func TestDamageIsToldAlsoWhenHealingFails(t *testing.T) {
	r := newRot(t)
	r.damaged = 3
	r.fail["heal"] = permanent("StorageFull", "no space left", "")
	require.False(t, r.verify(t).OK)
	require.Equal(t, []string{"check full", "heal", "announce"}, r.called)
	require.Equal(t, []string{"healing failed: no space left"}, r.notes)
}

func TestAVerificationThatCanNotBeMadeSaysWhyInTheBackupsLog(t *testing.T) {
	r := newRot(t)
	r.fail["check full"] = permanent("ConfigInvalid", "the repository is not there", "Mount the disk.")
	r.verify(t)
	require.Error(t, r.env.GetWorkflowError())
	require.Equal(t, []string{"the verification could not be made: the repository is not there. Mount the disk."}, r.logged)
}

func (r *rot) scrub() {
	r.env.ExecuteWorkflow(workflows.ScrubStorage, contract.ScrubInput{StorageLocationID: "s1"})
}

func TestAScrubReadsUntilItsPartIsRead(t *testing.T) {
	r := newRot(t)
	r.generations = []string{"a", "b"}
	r.scrub()
	require.NoError(t, r.env.GetWorkflowError())
	require.Equal(t, []string{"start", "next", "read a", "next", "read b", "next", "finish"}, r.called)
}

func TestAScrubGoesOnAfterAGenerationThatCanNotBeRead(t *testing.T) {
	r := newRot(t)
	r.generations = []string{"a", "b"}
	r.fail["read a"] = permanent("AuthFailed", "permission denied", "")
	r.scrub()
	require.Equal(t, []string{"start", "next", "read a", "next", "read b", "next", "finish"}, r.called)
}

func TestAScrubGivesUpOnALocationThatIsNotThere(t *testing.T) {
	r := newRot(t)
	r.generations = []string{"a", "b", "c", "d"}
	for _, generation := range r.generations {
		r.fail["read "+generation] = permanent("ConfigInvalid", "the repository is not there", "")
	}
	r.scrub()
	require.ErrorContains(t, r.env.GetWorkflowError(), "the repository is not there")
	require.Equal(t, []string{"start", "next", "read a", "next", "read b", "next", "read c", "finish"}, r.called)
}
