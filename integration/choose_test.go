package integration

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func tables(names ...string) func(*client.RestoreRequest) {
	return func(r *client.RestoreRequest) { r.IncludeTables = names }
}

func TestChosenTablesAreRestoredIntoANewDatabase(t *testing.T) {
	s := newSetup(t, withRows(10))
	s.exec(t, s.database, "create table chosen_one as select n from generate_series(1, 100) n")
	s.exec(t, s.database, "create table other as select 1 as n")
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)

	restored := s.restore(t, backup, restoreTo(s.database+"_some"), tables("chosen_*"))
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	require.Equal(t, "chosen_one 100", s.scalar(t, s.database+"_some", "select string_agg(relname, ',') || ' ' || (select count(*) from chosen_one) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"))

	failed := s.restore(t, backup, restoreTo(s.database+"_none"), tables("chosen_one", "no_such_table"))
	require.Equal(t, domain.Failed, failed.Status)
	require.Contains(t, failed.ErrorMessage, `"no_such_table"`)
	require.Equal(t, "0", s.scalar(t, s.database, "select count(*)::text from pg_database where datname like '"+s.database+"_none%'"))

	failed = s.restore(t, backup, dropExisting(), tables("chosen_one"))
	require.Equal(t, domain.Failed, failed.Status, "the others would be gone")
	require.Contains(t, failed.Metadata.Hint, "new or empty target_database")
	require.Equal(t, "1", s.scalar(t, s.database, "select count(*)::text from other"))
}
