package mysql_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/mysql/mariadbserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// occupied makes a target with everything in it that a swap has to take care of.
func occupied(t *testing.T, name string) engine.Source {
	t.Helper()
	return create(t, name, "CHARACTER SET latin1",
		"CREATE TABLE customers (id int PRIMARY KEY)",
		"CREATE TABLE orders (id int PRIMARY KEY, customer int, CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers (id))",
		"CREATE TABLE paid (n int)",           // a view in the sample
		"CREATE VIEW log AS SELECT 1 AS line", // a table in the sample
		"CREATE VIEW only_here AS SELECT * FROM customers",
		"CREATE FUNCTION twice(a int) RETURNS int DETERMINISTIC RETURN a * 3",
		"CREATE PROCEDURE only_here() SELECT 1",
		"CREATE EVENT yearly ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DO DELETE FROM paid",
		"CREATE TRIGGER audit BEFORE INSERT ON orders FOR EACH ROW SET NEW.customer = 1",
		"CREATE TRIGGER third BEFORE UPDATE ON customers FOR EACH ROW SET NEW.id = NEW.id + 1",
		"INSERT INTO customers VALUES (1), (7)", "INSERT INTO orders VALUES (1, 7)")
}

// A statement of Promote that fails stands for a crash before it: what was done until then stays.
func TestARestoreGoesOnWhereverItWasInterrupted(t *testing.T) {
	// Of the sample, what a swap treats in different ways.
	src := newSampleOf(t, "interrupted sample", func(statement string) bool {
		return !strings.HasPrefix(statement, "INSERT") && !strings.Contains(statement, "every_type") && !strings.Contains(statement, "parts") &&
			!strings.Contains(statement, "no_rows") && !strings.Contains(statement, "evil") && !strings.Contains(statement, "with\nUSE")
	})
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	want, before, ctx := content(t, src), databases(t), enginetest.Context(t)
	stages, afterSwap, finished := 0, 0, 0
	for point := 0; ; point++ {
		target := occupied(t, fmt.Sprintf("occupied %d", point))
		untouched, programs := content(t, target), programsIn(t, target.Config.Database)
		req := archive.Request(fmt.Sprintf("cccc%04d", point), target.Config.Database)
		req.DropExisting = true
		_, err := newEngine().Stage(ctx, target, req, archive.Opener())
		require.NoError(t, err)

		broken := newBreaker(t, point)
		warnings, err := newEngine().Promote(ctx, broken.source(target), req)
		if !broken.stop() {
			require.NoError(t, err)
			stages = point
			requireSameContent(t, want, content(t, target))
			break
		}
		require.True(t, err != nil || len(warnings) > 0)
		committed := len(queryRows(t, "", "select 1 from information_schema.tables where table_schema = ? and table_name = 'ticket'", target.Config.Database)) > 0
		if committed && err != nil {
			require.ErrorContains(t, err, "whose tables are the restored ones already")
			afterSwap++
		}
		switch {
		case point%2 == 0:
			_, err = newEngine().Promote(ctx, target, req)
			require.NoError(t, err, "after statement %d", point)
			requireSameContent(t, want, content(t, target))
		case committed: // there is no way back
			var told []string
			req.Explain = func(message string) { told = append(told, message) }
			require.NoError(t, newEngine().Discard(ctx, target, req))
			requireSameContent(t, want, content(t, target))
			said, old := strings.Join(told, "\n"), target.Config.Database+"_old_"+req.Token
			require.Equal(t, slices.Contains(databases(t), fmt.Sprintf("%q", old)), strings.Contains(said, "kept in database `"+old+"`"), said)
			finished += strings.Count(said, "the clean-up has finished it")
			if err != nil { // the restore was not complete
				require.Equal(t, programs, programsIn(t, old), "after statement %d", point)
			}
			execute(t, "", "SET foreign_key_checks = 0", fmt.Sprintf("DROP DATABASE IF EXISTS `%s_old_%s`", target.Config.Database, req.Token))
		default:
			require.NoError(t, newEngine().Discard(ctx, target, req))
			requireSameContent(t, untouched, content(t, target))
		}
		execute(t, "", "DROP DATABASE "+quoted(target.Config.Database))
		require.Equal(t, before, databases(t))
	}
	t.Logf("%d statements", stages)
	require.Greater(t, stages, 30)
	require.Greater(t, afterSwap, 5)
	require.Positive(t, finished)
}

// programsIn lists what of a database can not be moved to another one.
func programsIn(t *testing.T, database string) []string {
	t.Helper()
	return queryRows(t, "", `select 'VIEW', table_name from information_schema.views where table_schema = ?
		union all select routine_type, routine_name from information_schema.routines where routine_schema = ?
		union all select 'TRIGGER', trigger_name from information_schema.triggers where trigger_schema = ?
		union all select 'EVENT', event_name from information_schema.events where event_schema = ? order by 1, 2`, database, database, database, database)
}

func TestWhatASwapThatCanNotBeFinishedReplacedIsKeptWithItsPrograms(t *testing.T) {
	src := create(t, "unfinished", "", "CREATE TABLE a (n int)", "INSERT INTO a VALUES (1)", "CREATE VIEW v AS SELECT * FROM a",
		"CREATE FUNCTION one() RETURNS int RETURN 1", "CREATE EVENT e ON SCHEDULE EVERY 2 YEAR STARTS '2037-01-01 00:00:00' DO DELETE FROM a")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	execute(t, "", "CREATE USER keeper2@'%' IDENTIFIED BY 'keeperpassword'", "GRANT ALL ON `kept\\_target\\_%`.* TO keeper2@'%'",
		"GRANT ALL ON kept_target.* TO keeper2@'%'", "REVOKE CREATE VIEW ON kept_target.* FROM keeper2@'%'")
	t.Cleanup(func() { execute(t, "", "DROP USER keeper2@'%'", "DROP DATABASE IF EXISTS kept_target_old_eeee0003") })
	target := create(t, "kept_target", "",
		"CREATE TABLE before_it (n int)", "INSERT INTO before_it VALUES (7)", "CREATE TABLE more (n int)",
		"CREATE DEFINER=keeper2@'%' FUNCTION one() RETURNS int DETERMINISTIC RETURN -1", // as the backup has, but others
		"CREATE DEFINER=keeper2@'%' VIEW v AS SELECT n, one() AS one FROM before_it",
		"CREATE DEFINER=keeper2@'%' EVENT e ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DO DELETE FROM before_it",
		"CREATE DEFINER=keeper2@'%' VIEW all_of_it AS SELECT * FROM v", "CREATE DEFINER=keeper2@'%' PROCEDURE add_one() INSERT INTO before_it VALUES (1)",
		"CREATE DEFINER=keeper2@'%' TRIGGER kept_target.t BEFORE INSERT ON kept_target.before_it FOR EACH ROW SET NEW.n = 9",
		"CREATE PROCEDURE hidden() SELECT 2") // of another, who does not show it
	oldName := "kept_target_old_eeee0003"
	shown := slices.DeleteFunc(programsIn(t, "kept_target"), func(p string) bool { return strings.Contains(p, "hidden") })
	limited := target
	limited.Config.Username, limited.Config.Password = "keeper2", "keeperpassword"
	req, ctx := archive.Request("eeee0003", "kept_target"), enginetest.Context(t)
	req.DropExisting = true
	_, err := newEngine().Stage(ctx, limited, req, archive.Opener())
	require.NoError(t, err)
	for range 2 {
		_, err = newEngine().Promote(ctx, limited, req)
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
		require.ErrorContains(t, err, "make view `v`")
		require.ErrorContains(t, err, "kept in database `"+oldName+"`")
		require.ErrorContains(t, err, "read procedure `hidden`: the server does not show it")
		require.NotContains(t, err.Error(), "add_one")
		require.Equal(t, shown, programsIn(t, oldName))
	}
	require.Equal(t, []string{`"7" "-1"`}, queryRows(t, oldName, "select * from all_of_it"))
	execute(t, oldName, "CALL add_one()")
	require.Equal(t, []string{`"7"`, `"9"`}, queryRows(t, oldName, "select n from before_it order by 1"))
	require.Equal(t, []string{`"DISABLED" "1"`}, queryRows(t, "", "select status, interval_value from information_schema.events where event_schema = ?", oldName),
		"what is kept does not run")

	execute(t, "", "GRANT CREATE VIEW ON kept_target.* TO keeper2@'%'")
	_, err = newEngine().Promote(ctx, limited, req)
	require.NoError(t, err)
	require.Equal(t, []string{`"EVENT" "e"`, `"FUNCTION" "one"`, `"VIEW" "v"`}, programsIn(t, "kept_target"))
	require.NotContains(t, strings.Join(databases(t), " "), "eeee0003")
}

func TestASwapThatCanNotBeFinishedSaysWhereEverythingIsAndGoesOnLater(t *testing.T) {
	src := create(t, "unfinished", "", "CREATE TABLE a (n int)", "INSERT INTO a VALUES (1)", "CREATE VIEW v AS SELECT * FROM a")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target := create(t, "half_target", "", "CREATE TABLE before_it (n int)")
	execute(t, "", "CREATE USER half@'%' IDENTIFIED BY 'halfpassword'", "GRANT ALL ON `half\\_target\\_%`.* TO half@'%'",
		"GRANT SELECT, INSERT, CREATE, ALTER, DROP, DELETE ON half_target.* TO half@'%'")
	t.Cleanup(func() { execute(t, "", "DROP USER half@'%'", "DROP DATABASE IF EXISTS half_target_old_eeee0001") })
	limited := target
	limited.Config.Username, limited.Config.Password = "half", "halfpassword"
	req, ctx := archive.Request("eeee0001", "half_target"), enginetest.Context(t)
	req.DropExisting = true
	_, err := newEngine().Stage(ctx, limited, req, archive.Opener())
	require.NoError(t, err)
	for range 2 {
		_, err = newEngine().Promote(ctx, limited, req)
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
		for _, says := range []string{"`half_target`, whose tables are the restored ones already", "kept in database `half_target_old_eeee0001`", "`v`"} {
			require.ErrorContains(t, err, says)
		}
		require.Contains(t, failure.HintOf(err), "drop_existing")
	}
	require.Equal(t, []string{`"1"`}, queryRows(t, "half_target", "select n from a"))
	// As a workflow does that gives up.
	require.ErrorContains(t, newEngine().Discard(ctx, limited, req), "whose tables are the restored ones already")
	require.Equal(t, []string{`"before_it"`}, queryRows(t, "", "select table_name from information_schema.tables where table_schema = 'half_target_old_eeee0001'"))

	execute(t, "", "GRANT ALL ON half_target.* TO half@'%'")
	_, err = newEngine().Promote(ctx, limited, req)
	require.NoError(t, err)
	require.Equal(t, []string{`"1"`}, queryRows(t, "half_target", "select n from v"))
	require.NotContains(t, strings.Join(databases(t), " "), "eeee0001")
}

// What somebody makes in an empty target after it was looked at is never dropped: the restore is refused, or leaves it.
func TestWhatIsPutIntoAnEmptyTargetWhileItIsReplacedIsKept(t *testing.T) {
	src := create(t, "meanwhile source", "", "CREATE TABLE a (n int)", "INSERT INTO a VALUES (1)", "CREATE VIEW v AS SELECT * FROM a")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	before, ctx := databases(t), enginetest.Context(t)
	stage := func(t *testing.T, token, at string) (engine.Source, engine.StageRequest) {
		t.Helper()
		target, req := create(t, "meanwhile", ""), archive.Request(token, "meanwhile")
		_, err := newEngine().Stage(ctx, target, req, archive.Opener())
		require.NoError(t, err)
		var once sync.Once
		tap := newTap(t, func(statement string) {
			if strings.HasPrefix(statement, at) {
				once.Do(func() {
					execute(t, "meanwhile", "CREATE TABLE mine (n int)", "INSERT INTO mine VALUES (42)", "CREATE VIEW also AS SELECT n FROM mine",
						"CREATE FUNCTION theirs() RETURNS int RETURN 7", "CREATE TRIGGER doubled BEFORE INSERT ON mine FOR EACH ROW SET NEW.n = NEW.n * 2")
				})
			}
		})
		return tap.source(target), req
	}
	requireKept := func(t *testing.T) {
		t.Helper()
		execute(t, "meanwhile", "INSERT INTO mine VALUES (4)")
		require.Equal(t, []string{`"8"`, `"42"`}, queryRows(t, "meanwhile", "select n from also order by n"))
		require.Equal(t, []string{`"7"`}, queryRows(t, "meanwhile", "select theirs()"))
	}

	t.Run("before the tables are listed", func(t *testing.T) {
		target, req := stage(t, "eeee0031", "CREATE DATABASE IF NOT EXISTS")
		_, err := newEngine().Promote(ctx, target, req)
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
		require.ErrorContains(t, err, "not empty")
		requireKept(t)
		require.NoError(t, newEngine().Discard(ctx, target, req))
	})
	t.Run("after that", func(t *testing.T) {
		target, req := stage(t, "eeee0032", "RENAME TABLE")
		warnings, err := newEngine().Promote(ctx, target, req)
		require.NoError(t, err)
		require.Empty(t, warnings)
		requireKept(t)
		require.Equal(t, []string{`"1"`}, queryRows(t, "meanwhile", "select n from v"))
	})
	require.Equal(t, before, databases(t))
}

// Databases of MySQL and of MariaDB before 10.5 have no comments: what says that a restore is done stays a table.
func TestAServerWithoutCommentsOfDatabasesKeepsWhatWasRestored(t *testing.T) {
	dir, err := os.MkdirTemp("", "dataguardian-older-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	older, err := mariadbserver.Start(enginetest.Context(t), dir, "--version=10.4.99-MariaDB")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, older.Stop()) })
	src := create(t, "commentless", "", "CREATE TABLE a (n int)", "CREATE VIEW v AS SELECT * FROM a", "CREATE FUNCTION one() RETURNS int RETURN 1",
		"CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.n = 2")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target, req, ctx := sourceOn(older, "commentless"), archive.Request("eeee0002", "commentless"), enginetest.Context(t)
	_, err = newEngine().Stage(ctx, target, req, archive.Opener())
	require.NoError(t, err)
	db := older.Open("")
	defer db.Close()
	for _, again := range []func() error{
		func() error { _, err := newEngine().Promote(ctx, target, req); return err },
		func() error { _, err := newEngine().Promote(ctx, target, req); return err },
		func() error { return newEngine().Discard(ctx, target, req) },
	} {
		require.NoError(t, again())
		var programs int
		require.NoError(t, db.QueryRow(`select (select count(*) from information_schema.views where table_schema = 'commentless')
			+ (select count(*) from information_schema.routines where routine_schema = 'commentless')
			+ (select count(*) from information_schema.triggers where trigger_schema = 'commentless')`).Scan(&programs))
		require.Equal(t, 3, programs)
	}
}

func requireSameContent(t *testing.T, want, got any) {
	t.Helper()
	require.Equal(t, want, got)
}

func TestAFullDiskFailsARestoreAndLeavesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	small, err := os.MkdirTemp("", "dataguardian-small-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(small)) })
	require.NoError(t, unix.Mount("tmpfs", small, "tmpfs", 0, "size=100m"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(small, unix.MNT_DETACH)) })
	// The server's own files have room, or it ends itself where its log can not be written.
	roomy, err := os.MkdirTemp("", "dataguardian-roomy-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(roomy)) })
	require.NoError(t, os.Chmod(roomy, 0o777)) //nolint:gosec // the server's user writes there
	full, err := mariadbserver.Start(enginetest.Context(t), small, "--innodb-log-group-home-dir="+roomy, "--innodb-data-home-dir="+roomy,
		"--innodb-undo-directory="+roomy, "--aria-log-dir-path="+roomy, "--tmpdir="+roomy)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, full.Stop()) })

	src := create(t, "too large", "", "CREATE TABLE noise (id int PRIMARY KEY, body varchar(8000)) CHARACTER SET latin1",
		"INSERT INTO noise SELECT seq, repeat(sha2(seq, 512), 30) FROM seq_1_to_30000")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target := sourceOn(full, "keep")
	db := full.Open("")
	defer db.Close()
	for _, statement := range []string{"CREATE DATABASE keep", "CREATE TABLE keep.n (n int)", "INSERT INTO keep.n VALUES (42)"} {
		_, err := db.Exec(statement)
		require.NoError(t, err)
	}
	req := archive.Request("dddd0001", "keep")
	req.DropExisting = true
	_, err = newEngine().Stage(enginetest.Context(t), target, req, archive.Opener())
	enginetest.RequireClass(t, failure.StorageFull, err)
	require.Contains(t, failure.HintOf(err), "Free space")
	var n, left int
	require.NoError(t, db.QueryRow("select n from keep.n").Scan(&n))
	require.NoError(t, db.QueryRow("select count(*) from information_schema.schemata where schema_name like 'keep%'").Scan(&left))
	require.Equal(t, []int{42, 1}, []int{n, left})
}

func TestADumpThatReachesBeyondItsDatabaseIsRefused(t *testing.T) {
	src := create(t, "strict", "", "CREATE TABLE kept (id int PRIMARY KEY)", "INSERT INTO kept VALUES (1)")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	for name, statement := range map[string]string{
		"use":                        "USE `strict`;",
		"use in a version's comment": "/*!40000 USE `strict`*/;",
		"drop database":              "DROP DATABASE `strict`;",
		"create a user":              "CREATE USER evil;",
		"a grant":                    "GRANT ALL ON *.* TO evil;",
		"use behind another":         "DELIMITER //\nSELECT 1;\nUSE `strict`//\nDELIMITER ;",
		"a grant between others":     "DELIMITER ;;\nSELECT 1; GRANT ALL ON *.* TO evil; SELECT 2;;\nDELIMITER ;",
		"rows of another database":   "INSERT INTO `mysql`.`global_priv` VALUES\n('%','evil','{}');",
		"replaced rows":              "REPLACE INTO `mysql`.`global_priv` (`Host`) VALUES ('%');",
		"a table of another":         "DROP TABLE IF EXISTS `other`.`t`;",
		"a table behind another":     "SELECT 1; /*!40000 ALTER TABLE other.t DISABLE KEYS */;",
	} {
		t.Run(name, func(t *testing.T) {
			dump := strings.Replace(string(archive.Bytes), "CREATE TABLE", statement+"\nCREATE TABLE", 1)
			changed := archive.With([]byte(dump))
			_, err := newEngine().Inspect(enginetest.Context(t), archive.Stream, strings.NewReader(dump))
			enginetest.RequireClass(t, failure.Corrupt, err)
			before := databases(t)
			_, err = newEngine().Stage(enginetest.Context(t), src, archive.Request("dddd0002", fresh(t)), changed.Opener())
			enginetest.RequireClass(t, failure.Corrupt, err)
			require.Equal(t, before, databases(t))
		})
	}
	t.Run("a statement that fails ends the restore", func(t *testing.T) {
		dump := strings.Replace(string(archive.Bytes), "INSERT INTO `kept`", "INSERT INTO `lost`", 1)
		_, err := newEngine().Stage(enginetest.Context(t), src, archive.Request("dddd0003", fresh(t)), archive.With([]byte(dump)).Opener())
		require.ErrorContains(t, err, "doesn't exist")
	})
}

func TestIncludedTablesHaveToExist(t *testing.T) {
	src := newSample(t, "chosen")
	_, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{IncludeTables: []string{"orders", "no_such_*"}})
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, failure.Message(err), `"no_such_*"`)
	require.Contains(t, failure.Message(err), "include_tables")

	archive, report := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{IncludeTables: []string{"orders", "c*", "paid", "all_paid", "log"}, ExcludeTables: []string{"log"}, Jobs: 4})
	require.Contains(t, strings.Join(report.Warnings, "\n"), "parallel_jobs")
	target := fresh(t)
	enginetest.Restore(t, newEngine(), src, archive.Request("dddd0004", target), archive.Opener())
	require.Equal(t, []string{`"all_paid"`, `"customers"`, `"orders"`, `"paid"`},
		queryRows(t, "", "select table_name from information_schema.tables where table_schema = ? order by 1", target)[:4])

	_, report = enginetest.Dump(t, newEngine(), src, engine.DumpOptions{ExcludeTables: []string{"customers"}})
	require.Contains(t, strings.Join(report.Warnings, "\n"), "view `paid` is not in the backup")
	require.Contains(t, strings.Join(report.Warnings, "\n"), "view `all_paid` is not in the backup")
}

// TestATableIsNotLeftOutWithItsTwin: the tools' --ignore-table does not tell capitals apart.
func TestATableIsNotLeftOutWithItsTwin(t *testing.T) {
	src := create(t, "twins", "", "CREATE TABLE `Log` (id int)", "CREATE TABLE log (id int)", "INSERT INTO log VALUES (1)")
	_, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{ExcludeTables: []string{"Log"}})
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, failure.Message(err), "`Log` is left out and `log` is not")
	enginetest.Dump(t, newEngine(), src, engine.DumpOptions{ExcludeTables: []string{"[Ll]og"}})
}

// TestValuesThatADefinitionCanNotNameAreToldOf: MariaDB shows characters of four bytes in a definition as question marks.
func TestValuesThatADefinitionCanNotNameAreToldOf(t *testing.T) {
	src := create(t, "unnamed", "CHARACTER SET utf8mb4", "CREATE TABLE moods (id int, mood enum('é', '😀'), clear enum('a', 'ü'))", "CREATE TABLE plain (s set('a'))")
	_, report := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	require.Len(t, report.Warnings, 1)
	require.Contains(t, report.Warnings[0], "`moods.mood`")
	require.NotContains(t, report.Warnings[0], "clear")
	_, report = enginetest.Dump(t, newEngine(), src, engine.DumpOptions{ExcludeTables: []string{"moods"}})
	require.Empty(t, report.Warnings)
}

func TestAJobsOwnArgumentsReachTheTool(t *testing.T) {
	src := create(t, "extra args", "", "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1)", "CREATE TABLE log (id int)", "INSERT INTO log VALUES (2)",
		"CREATE TRIGGER t BEFORE INSERT ON kept FOR EACH ROW SET NEW.id = 7")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{
		ExtraArgs: []string{"--skip-triggers", "--ignore-table-data=" + src.Config.Database + ".log"},
	})
	target := fresh(t)
	enginetest.Restore(t, newEngine(), src, archive.Request("dddd0010", target), archive.Opener())
	require.Equal(t, []string{`"1"`}, queryRows(t, target, "select id from kept union all select id from log"))
	require.Empty(t, queryRows(t, "", "select trigger_name from information_schema.triggers where trigger_schema = ?", target))
}

func TestAToolThatIsTooOldForTheServerIsRefused(t *testing.T) {
	src := create(t, "old tools", "", "CREATE TABLE kept (id int)")
	for says, version := range map[string]string{
		"10.2.44": "mariadb-dump  Ver 10.16 Distrib 10.2.44-MariaDB, for Linux (x86_64)",
		"8.0.36":  "mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)",
	} {
		dir := t.TempDir()
		script := "#!/bin/sh\necho '" + version + "'\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, "mysqldump"), []byte(script), 0o755)) //nolint:gosec // a program
		_, _, err := enginetest.TryDump(t, withTools(dir), src, engine.DumpOptions{})
		enginetest.RequireClass(t, failure.ToolMissing, err)
		require.Contains(t, err.Error(), says)
		require.Contains(t, failure.HintOf(err), "apt-get install mariadb-client")
	}
}

func TestTablesWithoutTransactionsAreToldOf(t *testing.T) {
	src := create(t, "loose", "", "CREATE TABLE a (n int) ENGINE=MyISAM", "CREATE TABLE b (n int) ENGINE=Aria", "CREATE TABLE c (n int)",
		"CREATE TABLE v (n int) WITH SYSTEM VERSIONING")
	archive, report := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	require.Len(t, report.Warnings, 2)
	require.Contains(t, report.Warnings[0], "`a` (MyISAM), `b` (Aria)")
	require.Contains(t, report.Warnings[1], "`v`")
	enginetest.Restore(t, newEngine(), src, archive.Request("dddd0005", fresh(t)), archive.Opener())
}

func TestAUserWithFewRightsRestoresWhatBecomesTheUsersOwn(t *testing.T) {
	src := newSample(t, "few")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	execute(t, "", "CREATE USER few@'%' IDENTIFIED BY 'fewpassword'", "GRANT ALL ON `few%`.* TO few@'%'")
	t.Cleanup(func() { execute(t, "", "DROP USER few@'%'") })
	target := source("few_target")
	target.Config.Username, target.Config.Password = "few", "fewpassword"
	dropAfter(t, "few_target")
	report := enginetest.Restore(t, newEngine(), target, archive.Request("dddd0006", "few_target"), archive.Opener())
	require.Contains(t, strings.Join(report.Warnings, "\n"), "`keeper`@`%`")
	require.Equal(t, []string{`"few@%"`}, queryRows(t, "", "select distinct definer from information_schema.triggers where trigger_schema = 'few_target'"))

	refused := archive.Request("dddd0007", "elsewhere")
	err := newEngine().CheckTarget(enginetest.Context(t), target, refused)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.NotEmpty(t, failure.HintOf(err))
}

func TestADefinerThatIsMissingIsToldOf(t *testing.T) {
	execute(t, "", "CREATE USER leaver@'%'")
	src := create(t, "left", "", "CREATE TABLE a (n int)", "CREATE DEFINER=leaver@'%' VIEW v AS SELECT * FROM a")
	execute(t, "", "DROP USER leaver@'%'")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	report := enginetest.Restore(t, newEngine(), src, archive.Request("dddd0008", fresh(t)), archive.Opener())
	require.Contains(t, strings.Join(report.Warnings, "\n"), "`leaver`@`%`")
}

func TestATargetThatOthersPointIntoIsNotReplaced(t *testing.T) {
	src := create(t, "pointed", "", "CREATE TABLE a (n int PRIMARY KEY)")
	create(t, "pointing", "", "CREATE TABLE b (n int, FOREIGN KEY (n) REFERENCES pointed.a (n))")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	req := archive.Request("dddd0009", "pointed")
	req.DropExisting = true
	err := newEngine().CheckTarget(context.Background(), src, req)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.ErrorContains(t, err, "pointing.b")
}
