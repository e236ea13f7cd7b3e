package sqlite_test

import (
	"path/filepath"
	"slices"
	"strconv"
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
			for _, line := range enginetest.Rows(t, db, "SELECT name FROM sqlite_schema") {
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

// TestAChosenVirtualTableBringsItsOwnTablesOnly: others whose names begin alike are not its content.
func TestAChosenVirtualTableBringsItsOwnTablesOnly(t *testing.T) {
	src := newSample(t)
	db := connect(t, src.Config.FilePath)
	exec(t, db, "CREATE TABLE words_secret (x)", "INSERT INTO words_secret VALUES ('not asked for')",
		"CREATE VIRTUAL TABLE words_old USING fts5(body)", "INSERT INTO words_old VALUES ('neither')")
	require.NoError(t, db.Close())
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target := filepath.Join(filepath.Dir(src.Config.FilePath), "words only.db")
	req := archive.Request("abcd0004", target)
	req.IncludeTables = []string{"words"}
	enginetest.Restore(t, newEngine(), src, req, archive.Opener())
	require.Equal(t, []string{`"words"`, `"words_config"`, `"words_content"`, `"words_data"`, `"words_docsize"`, `"words_idx"`}, tablesOf(t, target))
	db = connect(t, target)
	require.Equal(t, []string{`"the quick brown fox"`}, enginetest.Rows(t, db, "SELECT body FROM words WHERE words MATCH 'quick'"))
	require.NoError(t, db.Close())

	req = archive.Request("abcd0005", filepath.Join(filepath.Dir(target), "never.db"))
	req.IncludeTables = []string{"words_data"} // says nothing without its virtual table
	_, err := newEngine().Stage(enginetest.Context(t), src, req, archive.Opener())
	enginetest.RequireClass(t, failure.NotFound, err)
}

// TestTablesOfAModuleThatSQLiteDoesNotKnowStayWithTheirVirtualTable: which are its own can not be asked then.
func TestTablesOfAModuleThatSQLiteDoesNotKnowStayWithTheirVirtualTable(t *testing.T) {
	src := sourceOf(filepath.Join(t.TempDir(), "app.db"))
	db := connect(t, src.Config.FilePath)
	exec(t, db, "CREATE TABLE kept_chunks_0 (x)", "INSERT INTO kept_chunks_0 VALUES (1)", "CREATE TABLE other (x)", "PRAGMA writable_schema = ON",
		"INSERT INTO sqlite_schema VALUES ('table', 'kept', 'kept', 0, 'CREATE VIRTUAL TABLE kept USING of_the_application(x)')", "PRAGMA writable_schema = RESET")
	require.NoError(t, db.Close())
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{IncludeTables: []string{"kept"}})
	target := filepath.Join(t.TempDir(), "restored.db")
	enginetest.Restore(t, newEngine(), sourceOf(target), archive.Request("abcd0006", target), archive.Opener())
	require.Equal(t, []string{`"kept"`, `"kept_chunks_0"`}, tablesOf(t, target))
}

func tablesOf(t *testing.T, path string) []string {
	t.Helper()
	db := connect(t, path)
	defer func() { require.NoError(t, db.Close()) }()
	return enginetest.Rows(t, db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")
}

func TestChosenTablesAreBackedUp(t *testing.T) {
	src := newSample(t)
	db := connect(t, src.Config.FilePath)
	exec(t, db, "CREATE TABLE secret (x)", "INSERT INTO secret VALUES ('not to be stored' || hex(randomblob(90000)))",
		"CREATE VIEW revealed AS SELECT x FROM secret", "CREATE VIEW twice AS SELECT * FROM revealed",
		"CREATE VIEW of_the_application AS SELECT known_to_the_application(t) FROM plain")
	require.NoError(t, db.Close())
	all, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	require.Contains(t, string(all.Bytes), "not to be stored")
	fts := []string{"words", "words_config", "words_content", "words_data", "words_docsize", "words_idx"}
	for name, c := range map[string]struct {
		include, exclude, tables, views []string
		warns                           []string
	}{
		"all but one": {
			exclude: []string{"secret"}, tables: append([]string{"keyed", "plain", "strict_one", `wéird " name`}, fts...),
			views: []string{"of_the_application", "seen"}, warns: []string{`view "revealed"`, `view "twice"`},
		},
		"all but some by a pattern": {
			exclude: []string{"w*", "secret"}, tables: []string{"keyed", "plain", "strict_one"},
			views: []string{"of_the_application", "seen"}, warns: []string{`view "revealed"`, `view "twice"`},
		},
		"some":              {include: []string{"pl?in", "words"}, tables: append([]string{"plain"}, fts...)},
		"some of some":      {include: []string{"*"}, exclude: []string{"words", "secret", "*view*", "revealed", "twice"}, tables: []string{"keyed", "plain", "strict_one", `wéird " name`}, views: []string{"of_the_application", "seen"}},
		"a view":            {include: []string{"plain", "seen"}, tables: []string{"plain"}, views: []string{"seen"}},
		"a view of nothing": {include: []string{"keyed", "seen"}, tables: []string{"keyed"}, warns: []string{`view "seen"`}},
		"content by itself": {exclude: []string{"words_data", "secret", "revealed", "twice"}, tables: append([]string{"keyed", "plain", "strict_one", `wéird " name`}, fts...), views: []string{"of_the_application", "seen"}},
	} {
		t.Run(name, func(t *testing.T) {
			archive, report := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{IncludeTables: c.include, ExcludeTables: c.exclude})
			require.NotContains(t, string(archive.Bytes), "not to be stored")
			require.Len(t, report.Warnings, len(c.warns), report.Warnings)
			for i, says := range c.warns {
				require.Contains(t, report.Warnings[i], says)
			}
			target := filepath.Join(t.TempDir(), "restored.db")
			enginetest.Restore(t, newEngine(), sourceOf(target), archive.Request("abcd0007", target), archive.Opener())
			var want []string
			for _, table := range c.tables {
				want = append(want, strconv.Quote(table))
			}
			require.ElementsMatch(t, want, tablesOf(t, target))
			db := connect(t, target)
			require.Len(t, enginetest.Rows(t, db, "SELECT name FROM sqlite_schema WHERE type = 'view'"), len(c.views))
			require.Equal(t, []string{`"wal"`}, enginetest.Rows(t, db, "PRAGMA journal_mode"), "as the source has it")
			if slices.Contains(c.tables, "plain") {
				require.Equal(t, []string{"4003"}, enginetest.Rows(t, db, "SELECT count(*) FROM plain"))
			}
			require.NoError(t, db.Close())
			recorded, counted, err := newEngine().RecordedRows([]engine.Stream{archive.Stream})
			require.NoError(t, err)
			require.True(t, counted)
			require.NotContains(t, recorded, "secret")
		})
	}
	require.Contains(t, tablesOf(t, src.Config.FilePath), `"secret"`, "the source is as it was")

	_, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{IncludeTables: []string{"plain", "plane"}})
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, failure.Message(err), `no table of the database matches "plane"`)
	require.Contains(t, failure.HintOf(err), "include_tables")
}

func TestTablesOfADatabaseThatOnlyItsApplicationUnderstandsCanNotBeChosen(t *testing.T) {
	src := sourceOf(filepath.Join(t.TempDir(), "app.db"))
	db := connect(t, src.Config.FilePath)
	exec(t, db, "CREATE TABLE kept (x)", "CREATE TABLE other (x)", "CREATE INDEX sorted ON kept (x)", "PRAGMA writable_schema = ON",
		"UPDATE sqlite_schema SET sql = 'CREATE INDEX sorted ON kept (x COLLATE of_the_application)' WHERE name = 'sorted'", "PRAGMA writable_schema = RESET")
	require.NoError(t, db.Close())
	enginetest.Dump(t, newEngine(), src, engine.DumpOptions{}) // as a whole it can
	_, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{ExcludeTables: []string{"other"}})
	enginetest.RequireClass(t, failure.Unsupported, err)
	require.Contains(t, failure.HintOf(err), "leave include_tables and exclude_tables empty")
}
