package sqlserver_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver/tdsserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func answers(number int32, message string) *tdsserver.Fault {
	return &tdsserver.Fault{Match: "BACKUP DATABASE", Errors: []tdsserver.SQLError{
		{Number: number, Message: message}, {Number: 3013, Message: "BACKUP DATABASE is terminating abnormally."},
	}}
}

func TestABackupThatFailsIsClassifiedAndLeavesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		fault *tdsserver.Fault
		class failure.Class
		says  string
	}{
		"a directory that the server can not write into": {answers(3201, "Cannot open backup device 'x'. Operating system error 5(Access is denied.)."), failure.ConfigInvalid, "backup_directory"},
		"a full disk on Windows":                         {answers(3202, "Write on \"x\" failed: 112(There is not enough space on the disk.) error 112(x)"), failure.StorageFull, "Free space"},
		"a full disk on Linux":                           {answers(3201, "Cannot open backup device 'x'. Operating system error 28(No space left on device)."), failure.StorageFull, "Free space"},
		"no right to back up":                            {answers(262, "BACKUP DATABASE permission denied in database 'x'."), failure.ConfigInvalid, "db_backupoperator"},
		"damaged pages":                                  {answers(3043, "BACKUP 'x' detected an error on page (1:5) in file 'x'."), failure.Corrupt, "CHECKDB"},
		"a number that nobody knows":                     {answers(54321, "Something."), failure.Unknown, "error 54321"},
		"a connection that breaks":                       {&tdsserver.Fault{Match: "BACKUP DATABASE", Drop: true}, failure.Unreachable, "server runs"},
		"a connection that breaks after it":              {&tdsserver.Fault{Match: "BACKUP DATABASE", After: true, Drop: true}, failure.Unreachable, "server runs"},
		"a header that can not be read":                  {&tdsserver.Fault{Match: "RESTORE HEADERONLY", Errors: []tdsserver.SQLError{{Number: 3241, Message: "incorrectly formed"}}}, failure.Corrupt, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, tdsserver.Options{})
			s.server.Inject(test.fault)
			_, _, err := enginetest.TryDump(t, s.engine, s.source(sampleName), engine.DumpOptions{})
			enginetest.RequireClass(t, test.class, err)
			require.Contains(t, failure.Message(err), test.says)
			require.NotContains(t, failure.Message(err), tdsserver.Password)
			s.requireClean()
		})
	}
}

func TestARestoreThatFailsIsClassifiedAndLeavesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		match  string
		number int32
		class  failure.Class
	}{
		"too little space on the server":     {"RESTORE DATABASE", 3257, failure.StorageFull},
		"a backup of a newer server":         {"RESTORE DATABASE", 3169, failure.Unsupported},
		"checksums that are wrong":           {"RESTORE VERIFYONLY", 3189, failure.Corrupt},
		"a file that the server can not see": {"RESTORE VERIFYONLY", 3201, failure.ConfigInvalid},
		"no right to restore":                {"RESTORE DATABASE", 3110, failure.ConfigInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, tdsserver.Options{})
			archive, _ := enginetest.Dump(t, s.engine, s.source(sampleName), engine.DumpOptions{})
			before := s.server.Names()
			s.server.Inject(&tdsserver.Fault{Match: test.match, After: true, Errors: []tdsserver.SQLError{{Number: test.number, Message: "What the server says."}, {Number: 3013, Message: "terminating"}}})
			_, err := s.engine.Stage(enginetest.Context(t), s.source("x"), archive.Request("eeee0001", "x"), archive.Opener())
			enginetest.RequireClass(t, test.class, err)
			require.NotEmpty(t, failure.HintOf(err))
			require.Equal(t, before, s.server.Names())
			s.requireClean()
		})
	}
}

func TestTargetsThatCanNotBeRestoredIntoAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		target  string
		options tdsserver.Options
		spoil   func(s *site, req *engine.StageRequest)
		class   failure.Class
		says    string
	}{
		"a target that is not empty": {sampleName, tdsserver.Options{}, nil, failure.ConfigInvalid, "drop_existing"},
		"an offline target": {sampleName, tdsserver.Options{}, func(s *site, req *engine.StageRequest) {
			req.DropExisting = true
			s.server.SetAccess(sampleName, "OFFLINE", "MULTI_USER")
		}, failure.ConfigInvalid, "OFFLINE"},
		"a database of the server":        {"MSDB", tdsserver.Options{}, func(_ *site, req *engine.StageRequest) { req.DropExisting = true }, failure.ConfigInvalid, "belongs to the server"},
		"a login that may create nothing": {"x", tdsserver.Options{MayCreate: func() bool { return false }}, nil, failure.ConfigInvalid, "dbcreator"},
		"tables":                          {"x", tdsserver.Options{}, func(_ *site, req *engine.StageRequest) { req.IncludeTables = []string{"orders"} }, failure.Unsupported, "whole databases"},
		"a backup of a newer server":      {"x", tdsserver.Options{}, func(_ *site, req *engine.StageRequest) { req.Streams[0].Properties["server_version"] = "17.0.1" }, failure.Unsupported, "newer server"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, test.options)
			archive, _ := enginetest.Dump(t, s.engine, s.source(sampleName), engine.DumpOptions{})
			req := archive.Request("eeee0002", test.target)
			if test.spoil != nil {
				test.spoil(s, &req)
			}
			err := s.engine.CheckTarget(enginetest.Context(t), s.source(test.target), req)
			enginetest.RequireClass(t, test.class, err)
			require.Contains(t, failure.Message(err), test.says)
		})
	}
}

func TestBackupsThatCanNotBeMadeAreRefused(t *testing.T) {
	t.Run("of some tables", func(t *testing.T) {
		s := newSite(t, tdsserver.Options{})
		_, _, err := enginetest.TryDump(t, s.engine, s.source(sampleName), engine.DumpOptions{IncludeTables: []string{"orders"}})
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
		require.Contains(t, failure.Message(err), "include_tables")
	})
	t.Run("of Azure SQL", func(t *testing.T) {
		s := newSite(t, tdsserver.Options{Edition: 5})
		_, _, err := enginetest.TryDump(t, s.engine, s.source(sampleName), engine.DumpOptions{})
		enginetest.RequireClass(t, failure.Unsupported, err)
	})
	t.Run("into a worker_directory that is not there", func(t *testing.T) {
		s := newSite(t, tdsserver.Options{})
		src := s.source(sampleName)
		src.Config.WorkerDirectory = filepath.Join(s.dir, "missing")
		_, _, err := enginetest.TryDump(t, s.engine, src, engine.DumpOptions{})
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
		require.Contains(t, failure.Message(err), "worker_directory")
	})
}

func TestAFileThatIsShorterThanTheServerSaysIsNoBackup(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	s.server.Inject(&tdsserver.Fault{Match: "RESTORE HEADERONLY", After: true, Do: func() {
		entries, err := os.ReadDir(s.dir)
		if err == nil && len(entries) == 1 {
			_ = os.Truncate(filepath.Join(s.dir, entries[0].Name()), 5000)
		}
	}})
	_, _, err := enginetest.TryDump(t, s.engine, s.source(sampleName), engine.DumpOptions{})
	enginetest.RequireClass(t, failure.Corrupt, err)
	require.Contains(t, failure.Message(err), "it has 5000 bytes")
	s.requireClean()
}

func TestADirectoryThatIsNotTheServersIsTold(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	src := s.source(sampleName)
	src.Config.WorkerDirectory = t.TempDir()
	_, _, err := enginetest.TryDump(t, s.engine, src, engine.DumpOptions{})
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, failure.Message(err), "has to be the same directory")
}

func TestABackupWithoutProgressEnds(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	s.server.Inject(&tdsserver.Fault{Match: "BACKUP DATABASE", Block: make(chan struct{})})
	_, _, err := enginetest.TryDump(t, s.engine, s.source(sampleName), engine.DumpOptions{IdleTimeout: 200 * time.Millisecond})
	enginetest.RequireClass(t, failure.Timeout, err)
	require.NotEmpty(t, failure.HintOf(err))
	s.requireClean()
}

func TestABackupWithProgressGoesOn(t *testing.T) {
	release, looks := make(chan struct{}), 0
	s := newSite(t, tdsserver.Options{Progress: func() string {
		if looks++; looks == 20 { // of which there are 8 in the idle time
			close(release)
		}
		return fmt.Sprint(looks)
	}})
	s.server.Inject(&tdsserver.Fault{Match: "BACKUP DATABASE", Block: release})
	_, _, err := enginetest.TryDump(t, s.engine, s.source(sampleName), engine.DumpOptions{IdleTimeout: 400 * time.Millisecond})
	require.NoError(t, err)
}

func TestACancelledBackupIsCancelledOnTheServer(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	ctx, cancel := context.WithCancel(enginetest.Context(t))
	s.server.Inject(&tdsserver.Fault{Match: "BACKUP DATABASE", Block: make(chan struct{}), Reach: func(string) { cancel() }})
	_, err := s.engine.Dump(ctx, s.source(sampleName), engine.DumpOptions{}, func(context.Context, engine.Stream, io.Reader) error { return nil })
	enginetest.RequireClass(t, failure.Cancelled, err)
	s.requireClean()
}

func TestLeftoversOfKilledWorkersAreRemovedAndNothingElse(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	old := time.Now().Add(-72 * time.Hour)
	for name, age := range map[string]time.Time{
		"dataguardian_00112233445566778899aabbccddeeff.bak": old,
		"dataguardian_ffeeddccbbaa99887766554433221100.bak": time.Now(),
		"nightly.bak": old, "dataguardian_dddd0001.access": old,
	} {
		path := filepath.Join(s.dir, name)
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
		require.NoError(t, os.Chtimes(path, age, age))
	}
	_, _ = enginetest.Dump(t, s.engine, s.source(sampleName), engine.DumpOptions{})
	entries, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	left := []string{}
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	require.Equal(t, []string{"dataguardian_dddd0001.access", "dataguardian_ffeeddccbbaa99887766554433221100.bak", "nightly.bak"}, left)
}
