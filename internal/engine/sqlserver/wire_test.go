package sqlserver_test

import (
	"context"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver/tdsserver"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

// sent are the statements that begin so, in order.
func (s *site) sent(beginning string) (found []string) {
	for _, statement := range s.server.Statements() {
		if strings.HasPrefix(statement, beginning) {
			found = append(found, statement)
		}
	}
	return found
}

// optionsOf is what stands behind WITH.
func optionsOf(statement string) []string {
	_, options, _ := strings.Cut(statement, " WITH ")
	return strings.Split(options, ", ")
}

func TestABackupSaysToTheServerHowItIsMade(t *testing.T) {
	always := []string{"CHECKSUM", "FORMAT", "INIT", "STATS = 5", "NAME = N'DataGuardian'"}
	for name, test := range map[string]struct {
		server tdsserver.Options
		dump   func(s *site)
		want   [][]string // beside what is said always, of each statement
	}{
		"a full that nothing builds on": {tdsserver.Options{}, func(s *site) { enginetest.Dump(s.T, s.engine, s.source(sampleName), engine.DumpOptions{}) },
			[][]string{{"COPY_ONLY", "COMPRESSION"}}},
		"with a job's own options": {tdsserver.Options{}, func(s *site) {
			enginetest.Dump(s.T, s.engine, s.source(sampleName), engine.DumpOptions{ExtraArgs: []string{"BUFFERCOUNT=7", "MAXTRANSFERSIZE=4194304"}})
		}, [][]string{{"COPY_ONLY", "COMPRESSION", "BUFFERCOUNT = 7", "MAXTRANSFERSIZE = 4194304"}}},
		"by an edition without compression": {tdsserver.Options{Express: true}, func(s *site) { enginetest.Dump(s.T, s.engine, s.source(sampleName), engine.DumpOptions{}) },
			[][]string{{"COPY_ONLY", "COMPRESSION"}, {"COPY_ONLY", "NO_COMPRESSION"}}},
		"a full and a differential": {tdsserver.Options{}, func(s *site) {
			full, _ := enginetest.Dump(s.T, s.engine, s.source(sampleName), engine.DumpOptions{Increments: true})
			enginetest.Dump(s.T, s.engine, s.source(sampleName), on(full, true))
		}, [][]string{{"NO_COMPRESSION"}, {"DIFFERENTIAL", "NO_COMPRESSION"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, test.server)
			test.dump(s)
			backups := s.sent("BACKUP DATABASE [Säm]]ple 'x'] TO DISK = N'" + s.dir + "/dataguardian_")
			require.Len(t, backups, len(test.want))
			for i, statement := range backups {
				require.ElementsMatch(t, append(slices.Clone(always), test.want[i]...), optionsOf(statement))
			}
			s.requireClean()
		})
	}
}

// REPLACE would let a restore write over a database that is there; what is replaced here is replaced by its name.
func TestARestoreMovesEveryFileAndReplacesByNameInSingleUserMode(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	full, _ := enginetest.Dump(t, s.engine, s.source(sampleName), engine.DumpOptions{Increments: true})
	next, _ := enginetest.Dump(t, s.engine, s.source(sampleName), on(full, true))
	s.server.Create(target, map[string][]string{"before": {"1"}})
	req := next.Request("eeee0010", target)
	req.DropExisting = true
	enginetest.Restore(t, s.engine, s.source(target), req, next.Opener())

	restores := s.sent("RESTORE DATABASE [the target_dg_eeee0010] FROM DISK = N'" + s.dir)
	require.Len(t, restores, 2)
	moved := regexp.MustCompile(`MOVE N'Säm]ple ''x''(_log)?' TO N'/var/opt/mssql/data/[^']*eeee0010[^']*\.(mdf|ldf)'`)
	require.Len(t, moved.FindAllString(restores[0], -1), 2)
	require.Subset(t, optionsOf(restores[0]), []string{"NORECOVERY", "CHECKSUM", "STATS = 5"})
	require.Subset(t, optionsOf(restores[1]), []string{"RECOVERY", "CHECKSUM", "STATS = 5"})
	require.Len(t, s.sent("RESTORE VERIFYONLY"), 2)
	require.Zero(t, s.server.Sent("REPLACE"))
	require.Equal(t, []string{
		"ALTER DATABASE [the target] SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
		"ALTER DATABASE [the target] MODIFY NAME = [the target_old_eeee0010]",
		"ALTER DATABASE [the target_dg_eeee0010] MODIFY NAME = [the target]",
		"ALTER DATABASE [the target_old_eeee0010] SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
	}, s.sent("ALTER DATABASE"))
	require.Equal(t, s.server.Content(sampleName), s.server.Content(target))
	require.Equal(t, "ONLINE MULTI_USER", s.server.Access(target))
	s.requireClean()
}

// files are those in the shared directory when the server gets a statement with match, which then fails, or is cancelled.
func TestNoFileStaysInTheDirectoryWhateverHappens(t *testing.T) {
	refused := []tdsserver.SQLError{{Number: 54321, Message: "Something."}}
	for _, match := range []string{"BACKUP DATABASE", "RESTORE HEADERONLY", "RESTORE FILELISTONLY", "RESTORE VERIFYONLY", "RESTORE DATABASE"} {
		for _, cancelled := range []bool{false, true} {
			t.Run(map[bool]string{false: match + " fails", true: match + " is cancelled"}[cancelled], func(t *testing.T) {
				s := newSite(t, tdsserver.Options{})
				archive, _ := enginetest.Dump(t, s.engine, s.source(sampleName), engine.DumpOptions{})
				ctx, cancel := context.WithCancel(enginetest.Context(t))
				defer cancel()
				held := 0
				// After: what the server writes is there by then.
				fault := &tdsserver.Fault{Match: match, After: true, Errors: refused, Do: func() {
					entries, _ := os.ReadDir(s.dir)
					held += len(entries)
				}}
				if cancelled {
					fault.Errors, fault.Block, fault.Reach = nil, make(chan struct{}), func(string) { cancel() }
				}
				s.server.Inject(fault)
				_, dumpErr := s.engine.Dump(ctx, s.source(sampleName), engine.DumpOptions{}, func(_ context.Context, _ engine.Stream, r io.Reader) error {
					_, err := io.Copy(io.Discard, r)
					return err
				})
				_, stageErr := s.engine.Stage(ctx, s.source("x"), archive.Request("eeee0011", "x"), archive.Opener())
				require.True(t, dumpErr != nil || stageErr != nil)
				require.Positive(t, held)
				s.requireClean()
			})
		}
	}
	t.Run("a sink that fails", func(t *testing.T) {
		s := newSite(t, tdsserver.Options{})
		_, err := s.engine.Dump(enginetest.Context(t), s.source(sampleName), engine.DumpOptions{}, func(context.Context, engine.Stream, io.Reader) error {
			return failure.New(failure.StorageFull, "put chunk", "no space", "")
		})
		enginetest.RequireClass(t, failure.StorageFull, err)
		s.requireClean()
	})
}

func TestAFullWorkerDirectoryFailsARestoreAndLeavesNothing(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	archive, _ := enginetest.Dump(t, s.engine, s.source(sampleName), engine.DumpOptions{Increments: true})
	s.dir = storagetest.SmallDir(t, 128<<10)
	before := s.server.Names()
	_, err := s.engine.Stage(enginetest.Context(t), s.source("x"), archive.Request("eeee0012", "x"), archive.Opener())
	enginetest.RequireClass(t, failure.StorageFull, err)
	require.Contains(t, failure.HintOf(err), "worker_directory")
	require.Equal(t, before, s.server.Names())
	s.requireClean()
}

func TestHowFarTheServerIsIsToldWhileItWorks(t *testing.T) {
	s := newSite(t, tdsserver.Options{Progress: func() string { return "42.5 10 20" }})
	for match, work := range map[string]func(tell engine.Teller) error{
		"BACKUP DATABASE": func(tell engine.Teller) error {
			_, _, err := enginetest.TryDump(t, s.engine, s.source(sampleName), engine.DumpOptions{Tell: tell})
			return err
		},
		"RESTORE DATABASE": func(tell engine.Teller) error {
			archive, _ := enginetest.Dump(t, s.engine, s.source(sampleName), engine.DumpOptions{})
			req := archive.Request("eeee0013", "told")
			req.Tell = tell
			_, err := s.engine.Stage(enginetest.Context(t), s.source("told"), req, archive.Opener())
			return err
		},
	} {
		t.Run(match, func(t *testing.T) {
			release, told := make(chan struct{}), make(chan float64, 100)
			s.server.Inject(&tdsserver.Fault{Match: match + " [", Times: 1, Block: release})
			ended := make(chan error, 1)
			go func() { ended <- work(func(percent float64) { told <- percent }) }()
			select {
			case percent := <-told:
				require.InDelta(t, 42.5, percent, 0)
			case <-time.After(enginetest.Timeout):
				require.Fail(t, "nothing was told")
			}
			close(release)
			require.NoError(t, <-ended)
		})
		s.server.Heal()
	}
}

func TestAQueryRunsOnlyAsSomebodyWhoMayNotWrite(t *testing.T) {
	const statement = "SELECT secret FROM t"
	for name, test := range map[string]struct {
		options tdsserver.Options
		as      string // "" is refused
		says    string
	}{
		"a login that only reads":                     {tdsserver.Options{}, tdsserver.Login, ""},
		"a login that writes":                         {tdsserver.Options{Writes: true}, "", "db_datareader"},
		"a login that writes, with a reader":          {tdsserver.Options{Writes: true, Reader: true}, "dataguardian_reader", ""},
		"a login that writes, and a reader that does": {tdsserver.Options{Writes: true, Reader: true, ReaderWrites: true}, "", "dataguardian_reader"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, test.options)
			s.server.Answers(statement, tdsserver.Answer{Columns: []tdsserver.Column{{Name: "secret", Kind: tdsserver.NVarChar}}, Rows: [][]any{{"x"}}})
			for _, read := range []func() error{
				func() error {
					_, err := s.engine.Query(enginetest.Context(t), s.source(sampleName), statement)
					return err
				},
				func() error {
					return s.engine.ReadColumn(enginetest.Context(t), s.source(sampleName), statement, "secret", func(string) error { return nil })
				},
			} {
				err := read()
				require.Equal(t, test.as, s.server.RanAs(statement))
				if test.as != "" {
					require.NoError(t, err)
					continue
				}
				enginetest.RequireClass(t, failure.ConfigInvalid, err)
				require.Contains(t, failure.Message(err), test.says)
			}
		})
	}
	t.Run("a server that does not say", func(t *testing.T) {
		s := newSite(t, tdsserver.Options{Reader: true})
		s.server.Answers(statement, tdsserver.Answer{Columns: []tdsserver.Column{{Name: "n", Kind: tdsserver.BigInt}}})
		s.server.Inject(&tdsserver.Fault{Match: "DATABASEPROPERTYEX", Errors: []tdsserver.SQLError{{Number: 229, Message: "denied"}}})
		_, err := s.engine.Query(enginetest.Context(t), s.source(sampleName), statement)
		require.Error(t, err)
		require.Empty(t, s.server.RanAs(statement))
	})
}

func TestACopyThatAVerificationRestoredIsReadWithoutAReader(t *testing.T) {
	s := newSite(t, tdsserver.Options{Writes: true})
	archive, _ := enginetest.Dump(t, s.engine, s.source(sampleName), engine.DumpOptions{})
	req := archive.Request("eeee0014", "")
	req.Scratch = true
	report, err := s.engine.Stage(enginetest.Context(t), s.source(sampleName), req, archive.Opener())
	require.NoError(t, err)
	s.server.Answers("SELECT 7", tdsserver.Answer{Columns: []tdsserver.Column{{Name: "n", Kind: tdsserver.BigInt}}, Rows: [][]any{{int64(7)}}})
	restored := engine.At(s.source(sampleName), report.Staging)
	// Its name alone is no reason: anybody may give a database of theirs such a one.
	_, err = s.engine.Query(enginetest.Context(t), restored, "SELECT 7")
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Empty(t, s.server.RanAs("SELECT 7"))
	restored.Disposable = true
	result, err := s.engine.Query(enginetest.Context(t), restored, "SELECT 7")
	require.NoError(t, err)
	require.Equal(t, [][]any{{int64(7)}}, result.Rows)
}
