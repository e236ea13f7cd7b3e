package sqlserver_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver/tdsserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const target = "the target"

// staged is a site with a target that is to be replaced and a staging beside it.
func staged(t *testing.T) (*site, engine.StageRequest) {
	t.Helper()
	s := newSite(t, tdsserver.Options{})
	archive, _ := enginetest.Dump(t, s.engine, s.source(sampleName), engine.DumpOptions{})
	s.server.Create(target, map[string][]string{"before": {"1"}})
	req := archive.Request("dddd0001", target)
	req.DropExisting = true
	require.NoError(t, s.engine.CheckTarget(enginetest.Context(t), s.source(target), req))
	_, err := s.engine.Stage(enginetest.Context(t), s.source(target), req, archive.Opener())
	require.NoError(t, err)
	return s, req
}

// steps are what a promotion changes on the server, in order.
var steps = []string{
	"ALTER DATABASE [the target] SET SINGLE_USER",
	"ALTER DATABASE [the target] MODIFY NAME",
	"ALTER DATABASE [the target_dg_dddd0001] MODIFY NAME",
	"ALTER DATABASE [the target_old_dddd0001] SET SINGLE_USER",
	"DROP DATABASE [the target_old_dddd0001]",
}

// A killed worker does nothing after the step: its clean-up fails, too.
func TestPromoteGoesOnAfterAKillAtAnyStep(t *testing.T) {
	for i, step := range steps {
		for _, after := range []bool{false, true} {
			for _, discard := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d %s, after it: %t, then discard: %t", i, step, after, discard), func(t *testing.T) {
					s, req := staged(t)
					src := s.source(target)
					killed, kill := context.WithCancel(enginetest.Context(t))
					s.server.Inject(&tdsserver.Fault{Match: step, After: after, Drop: true, Do: func() {
						s.server.Inject(&tdsserver.Fault{Match: "", Drop: true}) // whatever comes next
						kill()
					}})
					_, err := s.engine.Promote(killed, src, req)
					require.Error(t, err)
					s.server.Heal()

					promoted := i > 2 || (i == 2 && after)
					if discard {
						require.NoError(t, s.engine.Discard(enginetest.Context(t), src, req))
						require.NoError(t, s.engine.Discard(enginetest.Context(t), src, req))
					} else {
						warnings, err := s.engine.Promote(enginetest.Context(t), src, req)
						require.NoError(t, err)
						require.Empty(t, warnings)
						promoted = true
						require.NotContains(t, s.server.Names(), "the target_old_dddd0001")
					}
					if promoted {
						require.Equal(t, s.server.Content(sampleName), s.server.Content(target))
					} else {
						require.Equal(t, map[string][]string{"before": {"1"}}, s.server.Content(target))
					}
					require.Equal(t, "ONLINE MULTI_USER", s.server.Access(target))
					require.NotContains(t, s.server.Names(), "the target_dg_dddd0001")
					if !discard {
						s.requireClean()
					}
				})
			}
		}
	}
}

func TestALostAttemptLeavesTheWorkOfItsSuccessorAlone(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	archive, _ := enginetest.Dump(t, s.engine, s.source(sampleName), engine.DumpOptions{})
	for at, match := range []string{"RESTORE VERIFYONLY", "RESTORE DATABASE"} {
		t.Run(match, func(t *testing.T) {
			req := archive.Request(fmt.Sprintf("dddd100%d", at), fmt.Sprint("lost ", at))
			ctx, src := enginetest.Context(t), s.source(req.Target)
			lost, wake := make(chan struct{}), make(chan struct{})
			var once sync.Once
			s.server.Inject(&tdsserver.Fault{Match: match, After: at == 1, Block: wake, Reach: func(string) { once.Do(func() { close(lost) }) }})
			outcome := make(chan error)
			go func() {
				_, err := s.engine.Stage(ctx, src, req, archive.Opener())
				outcome <- err
			}()
			<-lost
			s.server.Heal()
			_, err := s.engine.Stage(ctx, src, req, archive.Opener())
			require.NoError(t, err)
			close(wake)
			require.ErrorContains(t, <-outcome, "another attempt")
			_, err = s.engine.Promote(ctx, src, req)
			require.NoError(t, err)
			require.Contains(t, s.server.Names(), req.Target)
		})
	}
	s.requireClean()
}

func TestAPromotionThatFailsPutsTheTargetBack(t *testing.T) {
	refused := []tdsserver.SQLError{{Number: 5011, Message: "User does not have permission to alter database."}}
	for _, step := range steps[:3] {
		for _, access := range []string{"MULTI_USER", "RESTRICTED_USER"} {
			t.Run(step+" of "+access, func(t *testing.T) {
				s, req := staged(t)
				s.server.SetAccess(target, "ONLINE", access)
				s.server.Inject(&tdsserver.Fault{Match: step, Errors: refused})
				_, err := s.engine.Promote(enginetest.Context(t), s.source(target), req)
				enginetest.RequireClass(t, failure.ConfigInvalid, err)
				require.NotEmpty(t, failure.HintOf(err))
				require.Equal(t, "ONLINE "+access, s.server.Access(target))
				require.Equal(t, map[string][]string{"before": {"1"}}, s.server.Content(target))
				s.requireClean()

				s.server.Heal()
				_, err = s.engine.Promote(enginetest.Context(t), s.source(target), req)
				require.NoError(t, err)
				require.Equal(t, s.server.Content(sampleName), s.server.Content(target))
			})
		}
	}
}

func TestAnOldDatabaseThatCanNotBeDroppedIsAWarning(t *testing.T) {
	s, req := staged(t)
	s.server.Inject(&tdsserver.Fault{Match: "DROP DATABASE", Errors: []tdsserver.SQLError{{Number: 3701, Message: "Cannot drop the database"}}})
	warnings, err := s.engine.Promote(enginetest.Context(t), s.source(target), req)
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "the target_old_dddd0001")
	require.Equal(t, "ONLINE MULTI_USER", s.server.Access("the target_old_dddd0001"))
	require.Equal(t, "ONLINE MULTI_USER", s.server.Access(target))
}

func TestSessionsInTheTargetAreEnded(t *testing.T) {
	s, req := staged(t)
	release := make(chan struct{})
	defer close(release)
	reached := make(chan string, 1)
	s.server.Inject(&tdsserver.Fault{Match: "SELECT 'busy'", Block: release, Reach: func(sql string) { reached <- sql }})
	busy := make(chan error, 1)
	go func() { busy <- s.engine.Execute(enginetest.Context(t), s.source(target), "SELECT 'busy'") }()
	<-reached
	_, err := s.engine.Promote(enginetest.Context(t), s.source(target), req)
	require.NoError(t, err)
	require.Error(t, <-busy)
}

func TestADatabaseThatTookTheTargetsNameMeanwhileIsNotReplaced(t *testing.T) {
	s, req := staged(t)
	s.server.Create("the target_old_dddd0001", map[string][]string{"before": {"1"}})
	_, err := s.engine.Promote(enginetest.Context(t), s.source(target), req)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, s.server.Names(), target)
	require.Contains(t, s.server.Names(), "the target_old_dddd0001")
}

func TestAnOperatorsSingleUserModeIsNotEndedByADiscard(t *testing.T) {
	s, req := staged(t)
	s.server.SetAccess(target, "ONLINE", "SINGLE_USER")
	require.NoError(t, s.engine.Discard(enginetest.Context(t), s.source(target), req))
	require.Equal(t, "ONLINE SINGLE_USER", s.server.Access(target))
}

func TestAStagingThatWasNotRestoredToTheEndIsNotPromoted(t *testing.T) {
	s, req := staged(t)
	s.server.SetAccess("the target_dg_dddd0001", "RESTORING", "MULTI_USER")
	_, err := s.engine.Promote(enginetest.Context(t), s.source(target), req)
	enginetest.RequireClass(t, failure.Corrupt, err)
	require.Equal(t, map[string][]string{"before": {"1"}}, s.server.Content(target))
	require.NoError(t, s.engine.Discard(enginetest.Context(t), s.source(target), req))
	require.NotContains(t, s.server.Names(), "the target_dg_dddd0001")
}

func TestUsersOfTheBackupAreKeptOutUntilWhatIsPrivateTakesTheTargetsPlace(t *testing.T) {
	for _, private := range []bool{true, false} {
		s := newSite(t, tdsserver.Options{})
		archive, _ := enginetest.Dump(t, s.engine, s.source(sampleName), engine.DumpOptions{})
		s.server.Create(target, map[string][]string{"before": {"1"}})
		req := archive.Request("dddd0002", target)
		req.DropExisting, req.Private = true, private
		ctx, staging := enginetest.Context(t), "the target_dg_dddd0002"
		recovered := make(chan string, 1)
		s.server.Inject(&tdsserver.Fault{Match: "RESTORE DATABASE", After: true, Reach: func(string) {
			select {
			case recovered <- s.server.Access(staging):
			default:
			}
		}})
		_, err := s.engine.Stage(ctx, s.source(target), req, archive.Opener())
		require.NoError(t, err)
		access := "ONLINE MULTI_USER"
		if private {
			access = "ONLINE RESTRICTED_USER"
		}
		require.Equal(t, access, <-recovered, "as soon as it can be opened")
		require.Equal(t, access, s.server.Access(staging))
		s.server.Answers("SELECT 'masked'", tdsserver.Answer{Columns: []tdsserver.Column{{Name: "n", Kind: tdsserver.NVarChar}}})
		require.NoError(t, s.engine.Execute(ctx, engine.At(s.source(target), staging), "SELECT 'masked'"))

		if private { // nothing has happened to the target when it can not be opened
			s.server.Inject(&tdsserver.Fault{Match: "SET MULTI_USER", Errors: []tdsserver.SQLError{{Number: 5011, Message: "User does not have permission"}}})
			_, err = s.engine.Promote(ctx, s.source(target), req)
			require.Error(t, err)
			require.Equal(t, map[string][]string{"before": {"1"}}, s.server.Content(target))
			s.server.Heal()
		}
		_, err = s.engine.Promote(ctx, s.source(target), req)
		require.NoError(t, err)
		require.Equal(t, "ONLINE MULTI_USER", s.server.Access(target))
		require.Equal(t, s.server.Content(sampleName), s.server.Content(target))
		s.requireClean()
	}
}
