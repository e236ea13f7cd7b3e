package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// withDocuments has rows point to files below a directory of the worker.
func withDocuments(t *testing.T, policy domain.MissingFilePolicy, files ...string) (s *setup, base string) {
	t.Helper()
	base = t.TempDir()
	s = newSetup(t, withRows(100), withOptions(domain.BackupOptions{
		BackupType: domain.Incremental, Verify: domain.VerifyFull, ParallelJobs: 2,
		ReferencedFiles: &domain.ReferencedFiles{
			Enabled: true, DiscoveryQuery: "select id, path from documents order by id", PathColumn: "path",
			BaseDirectories: []string{base}, MissingFilePolicy: policy, MaxFiles: 3,
		},
	}))
	s.exec(t, s.database, "create table documents (id serial, path varchar(500))")
	for _, name := range files {
		s.exec(t, s.database, fmt.Sprintf("insert into documents (path) values ('%s'), (null)", filepath.Join(base, name)))
	}
	return s, base
}

func into(dir string) func(*client.RestoreRequest) {
	return func(r *client.RestoreRequest) { r.ReferencedFilesDirectory = dir }
}

func TestFilesThatRowsPointToAreBackedUpAndRestored(t *testing.T) {
	s, base := withDocuments(t, domain.MissingWarn, "a.pdf", "b.pdf", "gone.pdf")
	require.NoError(t, os.WriteFile(filepath.Join(base, "a.pdf"), []byte("first"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(base, "b.pdf"), []byte("second"), 0o600))
	first := s.backUp(t)
	require.Equal(t, domain.Completed, first.Status, first.ErrorMessage)
	require.True(t, first.Metadata.Verification.OK)
	require.Len(t, first.Metadata.Warnings, 1)
	require.Contains(t, first.Metadata.Warnings[0], "gone.pdf")
	second := s.backUp(t)
	require.Equal(t, domain.Completed, second.Status, second.ErrorMessage)
	require.Equal(t, domain.Incremental, second.BackupType)

	dir := filepath.Join(t.TempDir(), "restored")
	for i, e := range []client.Execution{first, second} {
		at := fmt.Sprint(dir, i)
		restored := s.restore(t, e, restoreTo(s.database+"_copy"), dropExisting(), into(at))
		require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
		s.requireSame(t, s.database, s.database+"_copy")
		for name, text := range map[string]string{"a.pdf": "first", "b.pdf": "second"} {
			content, err := os.ReadFile(filepath.Join(at, base, name))
			require.NoError(t, err)
			require.Equal(t, text, string(content))
		}
	}
	full := s.restore(t, second, restoreTo(s.database+"_copy"), dropExisting(), into(base))
	require.Equal(t, domain.Failed, full.Status, "the directory is not empty")
	require.Contains(t, full.Metadata.Hint, "referenced_files_directory")
	proven := s.restore(t, second, verification())
	require.Equal(t, domain.Completed, proven.Status, proven.ErrorMessage)
	_, err := shared.owner.Restore(t.Context(), second.ID, client.RestoreRequest{
		TargetDatasourceID: s.datasource.ID, ConfirmationPhrase: client.ConfirmRestore(s.datasource.Name), ReferencedFilesDirectory: "relative",
	})
	require.ErrorContains(t, err, "referenced_files_directory")
}

func TestReferencedFilesThatCanNotBeFailTheBackup(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		sql   string
		class string
		says  string
	}{
		"a missing file":             {[]string{"gone.pdf"}, "", "NotFound", "gone.pdf"},
		"a path outside":             {[]string{"../../etc/passwd"}, "", "NotFound", "outside of base_directories"},
		"too many":                   {[]string{"a", "b", "c", "d"}, "", "ConfigInvalid", "max_files"},
		"a query that fails":         {nil, "alter table documents rename to others", "ConfigInvalid", "documents"},
		"a column that is not there": {nil, "alter table documents rename path to name", "ConfigInvalid", "path"},
		"a query that writes": {nil, `alter table documents rename to d; create function write() returns text language sql as $$ insert into d (path) values ('x') returning path $$;
			create view documents as select 1 as id, write()::varchar as path`, "ConfigInvalid", "read-only transaction"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := withDocuments(t, domain.MissingFail, c.files...)
			if c.sql != "" {
				s.exec(t, s.database, c.sql)
			}
			failed := s.backUp(t)
			require.Equal(t, domain.Failed, failed.Status)
			require.Equal(t, c.class, failed.Metadata.FailureClass, failed.ErrorMessage)
			require.Contains(t, failed.ErrorMessage, c.says)
			require.Empty(t, s.chunks(t), "what was stored of it is removed")
		})
	}
}
