package integration

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// The target is copied over the source, which then has the chosen tables only; the target stays as it is.
func TestASyncTheOtherWayRoundCopiesTheChosenTables(t *testing.T) {
	s := newSetup(t, withRows(20))
	target := s.keeping(t)
	s.exec(t, target.Name, "create table secrets (n int); create table more (n int); insert into more values (7)")
	tables := func(database string) string {
		t.Helper()
		return s.scalar(t, database, "select string_agg(relname, ' ' order by relname) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace")
	}
	job := s.syncJob(t, target, func(d *client.SyncJobDocument) {
		d.OverwriteDirection, d.ConfirmationPhrase = domain.TargetToSource, client.ConfirmRestore(s.datasource.Name)
		d.BackupOptions.ExcludeTables = []string{"secrets"}
		d.SyncOptions.PostRestoreSQL = []string{"update keep set n = n + 1"}
	})
	copies := func(want string) {
		t.Helper()
		run := waitSync(t, startSync(t, job))
		require.Equal(t, domain.Completed, run.Status, run.ErrorMessage)
		require.Equal(t, want, tables(s.database))
		require.Equal(t, "43", s.scalar(t, s.database, "select n::text from keep"))
		require.Equal(t, "keep more secrets", tables(target.Name), "the side that is copied was changed")
		s.requireKept(t, target)
	}
	copies("keep more")
	require.Equal(t, "7", s.scalar(t, s.database, "select n::text from more"))
	_, err := shared.owner.SyncJobs().Update(t.Context(), job.ID, map[string]any{"backup_options": map[string]any{"include_tables": []string{"keep"}, "exclude_tables": nil}})
	require.NoError(t, err)
	copies("keep")
}
