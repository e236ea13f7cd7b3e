package mysql_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestChosenTablesAreRestoredWithTheirTriggers(t *testing.T) {
	src := newSample(t, "choices")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	whole := content(t, src).(map[string][]string)
	for name, c := range map[string]struct {
		include []string
		want    []string // tables and views
		warns   string
	}{
		"by its name":              {[]string{"customers"}, []string{"customers"}, ""},
		"with triggers, one loose": {[]string{"orders"}, []string{"orders"}, "of_customer"},
		"both ends of a key":       {[]string{"orders", "customers"}, []string{"customers", "orders"}, ""},
		"by a pattern":             {[]string{"*USE all*", "--*"}, []string{"--evil", "a 'table' \\ with\nUSE all`\""}, ""},
		"a view with its tables":   {[]string{"orders", "customers", "paid"}, []string{"customers", "orders", "paid"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			req := archive.Request("abcd0001", fresh(t))
			req.IncludeTables = c.include
			report := enginetest.Restore(t, newEngine(), src, req, archive.Opener())
			tables := unquote(t, queryRows(t, "", "select table_name from information_schema.tables where table_schema = ? and table_type <> 'SEQUENCE' order by 1", req.Target))
			require.Equal(t, c.want, tables)
			restored := content(t, in(src, req.Target)).(map[string][]string)
			for _, table := range tables {
				require.Equal(t, whole["rows of "+table], restored["rows of "+table], table)
			}
			if c.warns == "" {
				require.Empty(t, report.Warnings)
			} else {
				require.Contains(t, strings.Join(report.Warnings, "\n"), c.warns)
			}
			triggers := unquote(t, queryRows(t, "", "select trigger_name from information_schema.triggers where trigger_schema = ? order by 1", req.Target))
			if strings.Contains(strings.Join(tables, " "), "orders") {
				require.Equal(t, []string{"audit", "second"}, triggers)
			} else {
				require.Empty(t, triggers)
			}
			require.Empty(t, queryRows(t, "", "select event_name from information_schema.events where event_schema = ?", req.Target))
		})
	}
	t.Run("one that is not in the backup", func(t *testing.T) {
		before := databases(t)
		req := archive.Request("abcd0002", "not there yet")
		req.IncludeTables = []string{"customers", "custmers"}
		_, err := newEngine().Stage(enginetest.Context(t), src, req, archive.Opener())
		enginetest.RequireClass(t, failure.NotFound, err)
		require.ErrorContains(t, err, `"custmers"`)
		require.Equal(t, before, databases(t))
	})
	t.Run("they replace no whole database", func(t *testing.T) {
		req := archive.Request("abcd0003", "choices")
		req.IncludeTables, req.DropExisting = []string{"customers"}, true
		err := newEngine().CheckTarget(enginetest.Context(t), src, req)
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
		require.Contains(t, failure.HintOf(err), "new or empty target_database")
	})
}
