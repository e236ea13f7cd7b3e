package sqlite_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestChosenTablesAreRestored(t *testing.T) {
	src := newSample(t)
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	whole := content(t, src).(map[string][]string)
	dir := filepath.Dir(src.Config.FilePath)
	for name, c := range map[string]struct{ include, want []string }{
		"with its indexes and triggers": {[]string{"plain"}, []string{"plain", "plain_lower", "plain_t", "logged", "sqlite_sequence"}},
		"by a pattern":                  {[]string{"w*ird *"}, []string{`wéird " name`, `sqlite_autoindex_wéird " name_1`}},
		"a virtual one":                 {[]string{"words"}, []string{"words", "words_config", "words_content", "words_data", "words_docsize", "words_idx"}},
		"a view and its table":          {[]string{"seen", "plain"}, []string{"plain", "plain_lower", "plain_t", "logged", "seen", "sqlite_sequence"}},
	} {
		t.Run(name, func(t *testing.T) {
			target := filepath.Join(dir, "chosen "+c.include[0][:1]+name[:3]+".db")
			req := archive.Request("abcd0001", target)
			req.IncludeTables = c.include
			enginetest.Restore(t, newEngine(), src, req, archive.Opener())
			db := connect(t, target)
			var names []string
			for _, line := range rowsOf(t, db, "SELECT name FROM sqlite_schema") {
				names = append(names, strings.ReplaceAll(strings.Trim(line, `"`), `\"`, `"`))
			}
			require.ElementsMatch(t, c.want, names)
			require.NoError(t, db.Close())
			restored := content(t, in(src, target)).(map[string][]string)
			for _, table := range c.include {
				require.Equal(t, whole[table], restored[table])
			}
			require.Equal(t, whole["user_version"], restored["user_version"])
		})
	}
	before := files(t, src.Config.FilePath)
	req := archive.Request("abcd0002", filepath.Join(dir, "never.db"))
	req.IncludeTables = []string{"plain", "plane"}
	_, err := newEngine().Stage(enginetest.Context(t), src, req, archive.Opener())
	enginetest.RequireClass(t, failure.NotFound, err)
	require.ErrorContains(t, err, `"plane"`)
	require.Equal(t, before, files(t, src.Config.FilePath))

	req = archive.Request("abcd0003", src.Config.FilePath)
	req.IncludeTables, req.DropExisting = []string{"plain"}, true
	err = newEngine().CheckTarget(enginetest.Context(t), src, req)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, failure.HintOf(err), "new or empty target_database")
}
