package postgres_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// small makes a database with one table of three rows.
func small(t *testing.T, name string) engine.Source {
	t.Helper()
	src := create(t, name, "")
	execute(t, src, "CREATE TABLE kept (id int PRIMARY KEY)", "INSERT INTO kept VALUES (1), (2), (3)")
	return src
}

func TestSequencesContinueAfterARestore(t *testing.T) {
	src := create(t, "sequences", "")
	execute(t, src, "CREATE TABLE s (id int GENERATED ALWAYS AS IDENTITY, v text)", "INSERT INTO s (v) VALUES ('a'), ('b')")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target := fresh(t)
	enginetest.Restore(t, newEngine(), src, archive.Request("bbbb0001", target), archive.Opener())
	execute(t, in(src, target), "INSERT INTO s (v) VALUES ('c')")
	require.Equal(t, []string{"1a", "2b", "3c"}, queryStrings(t, in(src, target), "select id || v from s order by id"))
}

func TestASwapTakesTheNameFromUnderBusyClients(t *testing.T) {
	src := small(t, "busy")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	execute(t, src, "INSERT INTO kept VALUES (4)")

	ctx, cancel := context.WithCancel(enginetest.Context(t))
	var clients sync.WaitGroup
	connected := make(chan struct{}, 1000)
	for range 4 { // each reconnects as soon as it is thrown out
		clients.Go(func() {
			for ctx.Err() == nil {
				conn, err := pgx.Connect(ctx, server.DatabaseURL("busy"))
				if err != nil {
					continue
				}
				select {
				case connected <- struct{}{}:
				default:
				}
				_, _ = conn.Exec(ctx, "select pg_sleep(60)")
				_ = conn.Close(context.Background())
			}
		})
	}
	<-connected
	req := archive.Request("bbbb0002", "busy")
	req.DropExisting = true
	enginetest.Restore(t, newEngine(), src, req, archive.Opener())
	cancel()
	clients.Wait()
	require.Equal(t, []string{"3"}, queryStrings(t, src, "select count(*)::text from kept"))
}

func TestAReplacedDatabaseHandsOverWhatBelongsToItsName(t *testing.T) {
	execute(t, source(t, "postgres"), "CREATE ROLE target_owner", "CREATE ROLE target_user")
	t.Cleanup(func() { execute(t, source(t, "postgres"), "DROP ROLE target_owner", "DROP ROLE target_user") })
	src := small(t, "recorded")
	execute(t, src, "ALTER DATABASE recorded SET work_mem TO '8MB'", "COMMENT ON DATABASE recorded IS 'from the backup'")
	target := create(t, "handed over", "OWNER target_owner CONNECTION LIMIT 17")
	execute(t, target,
		`REVOKE ALL ON DATABASE "handed over" FROM PUBLIC`,
		`GRANT CONNECT ON DATABASE "handed over" TO target_user WITH GRANT OPTION`,
		`ALTER DATABASE "handed over" SET timezone TO 'Asia/Tokyo'`,
		`ALTER ROLE target_user IN DATABASE "handed over" SET work_mem TO '9MB'`,
		`COMMENT ON DATABASE "handed over" IS 'of the target'`)
	const state = `select format('%s %s %s %s %s', pg_get_userbyid(datdba), datconnlimit, (select array_agg(a::text order by a::text) from unnest(datacl) a),
		(select array_agg(setrole::regrole || setconfig::text order by 1) from pg_db_role_setting where setdatabase = d.oid),
		split_part(shobj_description(oid, 'pg_database'), E'\n', 1)) from pg_database d where datname = 'handed over'`
	before := queryStrings(t, source(t, "postgres"), state)

	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	for _, token := range []string{"bbbb0003", "bbbb0004"} { // the second replaces a restored one
		req := archive.Request(token, "handed over")
		req.DropExisting = true
		enginetest.Restore(t, newEngine(), target, req, archive.Opener())
		require.Equal(t, before, queryStrings(t, source(t, "postgres"), state))
	}
	require.Equal(t, []string{"3"}, queryStrings(t, target, "select count(*)::text from kept"))
}

func TestPromoteFinishesWhatACrashLeftAfterTheCommit(t *testing.T) {
	src := small(t, "crashed")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	req := archive.Request("bbbb0005", "crashed")
	req.DropExisting = true
	before := databases(t)
	_, err := newEngine().Stage(enginetest.Context(t), src, req, archive.Opener())
	require.NoError(t, err)
	// What the transaction commits, by hand; the drop of the old database has not happened.
	execute(t, source(t, "postgres"),
		`ALTER DATABASE crashed RENAME TO crashed_old_bbbb0005`,
		`ALTER DATABASE crashed_dg_bbbb0005 RENAME TO crashed`)
	warnings, err := newEngine().Promote(enginetest.Context(t), src, req)
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, before, databases(t))
}

// A subscription lets a database be renamed, but not dropped.
func TestAnOldDatabaseThatCanNotBeDroppedIsAWarning(t *testing.T) {
	src := small(t, "subscriber")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	execute(t, src, "INSERT INTO kept VALUES (4)",
		"CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p WITH (connect = false)")
	req, ctx := archive.Request("bbbb0022", "subscriber"), enginetest.Context(t)
	req.DropExisting = true
	before := databases(t)
	_, err := newEngine().Stage(ctx, src, req, archive.Opener())
	require.NoError(t, err)
	const old = "subscriber_old_bbbb0022"
	dropAfter(t, old)
	for range 2 { // the restore has succeeded, also for an attempt that comes again
		warnings, err := newEngine().Promote(ctx, src, req)
		require.NoError(t, err)
		require.Len(t, warnings, 1)
		require.Contains(t, warnings[0], old)
		require.Equal(t, []string{"3"}, queryStrings(t, src, "select count(*)::text from kept"))
		require.Equal(t, []string{"4"}, queryStrings(t, in(src, old), "select count(*)::text from kept"))
	}
	execute(t, in(src, old), "ALTER SUBSCRIPTION s SET (slot_name = NONE)", "DROP SUBSCRIPTION s")
	warnings, err := newEngine().Promote(ctx, src, req)
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, before, databases(t))
}

func TestPromoteRefusesAStagingThatWasNotLoadedToTheEnd(t *testing.T) {
	src := small(t, "intact")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	create(t, "intact_dg_bbbb0006", "")
	req := archive.Request("bbbb0006", "intact")
	req.DropExisting = true
	_, err := newEngine().Promote(enginetest.Context(t), src, req)
	enginetest.RequireClass(t, failure.Corrupt, err)
	require.Equal(t, []string{"3"}, queryStrings(t, src, "select count(*)::text from kept"))
}

func TestATargetThatFilledUpSinceTheCheckIsNotReplaced(t *testing.T) {
	src := small(t, "filling source")
	target := create(t, "filling", "")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	req, ctx := archive.Request("bbbb0007", "filling"), enginetest.Context(t)
	require.NoError(t, newEngine().CheckTarget(ctx, target, req), "an empty database may be replaced")
	_, err := newEngine().Stage(ctx, target, req, archive.Opener())
	require.NoError(t, err)
	execute(t, target, "CREATE TABLE mine (id int)")
	_, err = newEngine().Promote(ctx, target, req)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Equal(t, []string{"0"}, queryStrings(t, target, "select count(*)::text from mine"))
	require.NoError(t, newEngine().Discard(ctx, target, req))
}

// tenants makes an empty target that an ordinary user owns, with a restore staged that may not replace what is in it,
// and a session of a superuser in the target, which the user can not end: the server waits for it with the rename.
func tenants(t *testing.T, name, token string) (user engine.Source, req engine.StageRequest, session *pgx.Conn) {
	t.Helper()
	execute(t, source(t, "postgres"), "CREATE ROLE "+name+" LOGIN CREATEDB PASSWORD 'tenant'")
	t.Cleanup(func() { execute(t, source(t, "postgres"), "DROP ROLE "+name) })
	archive, _ := enginetest.Dump(t, newEngine(), small(t, name+" source"), engine.DumpOptions{})
	user = create(t, name, "OWNER "+name)
	session = open(t, user)
	user.Config.Username, user.Config.Password = name, "tenant"
	req = archive.Request(token, name)
	_, err := newEngine().Stage(enginetest.Context(t), user, req, archive.Opener())
	require.NoError(t, err)
	return user, req, session
}

// fillAtRename puts a table into the session's database while the server waits to rename it.
func fillAtRename(ctx context.Context, session *pgx.Conn) error {
	for {
		var renaming bool
		err := session.QueryRow(ctx, `select exists (select from pg_stat_activity
			where state = 'active' and query like 'ALTER DATABASE%RENAME TO%' and query like '%' || current_database() || '%')`).Scan(&renaming)
		if err != nil {
			return err
		}
		if renaming {
			_, err = session.Exec(ctx, "CREATE TABLE mine AS SELECT 42 AS n")
			return err
		}
	}
}

func TestWhatIsPutIntoAnEmptyTargetWhileItIsReplacedIsKept(t *testing.T) {
	user, req, session := tenants(t, "tenant", "bbbb0030")
	const old = "tenant_old_bbbb0030"
	dropAfter(t, old)
	ctx := enginetest.Context(t)
	filled := make(chan error, 1)
	go func() {
		err := fillAtRename(ctx, session)
		filled <- errors.Join(err, session.Close(ctx))
	}()
	for range 2 { // also for an attempt that comes again
		warnings, err := newEngine().Promote(ctx, user, req)
		require.NoError(t, err)
		require.Len(t, warnings, 1)
		require.Contains(t, warnings[0], "kept as database")
		require.Contains(t, warnings[0], old)
		require.Equal(t, []string{"3"}, queryStrings(t, user, "select count(*)::text from kept"))
		require.Equal(t, []string{"42"}, queryStrings(t, in(source(t, "postgres"), old), "select n::text from mine"))
	}
	require.NoError(t, <-filled)
}

func TestATargetThatFillsUpWhileASessionHoldsItIsNotReplaced(t *testing.T) {
	user, req, session := tenants(t, "holder", "bbbb0031")
	ctx := enginetest.Context(t)
	filled := make(chan error, 1)
	go func() { filled <- fillAtRename(ctx, session) }()
	_, err := newEngine().Promote(ctx, user, req)
	require.NoError(t, <-filled)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.ErrorContains(t, err, "not empty")
	require.Equal(t, []string{"42"}, queryStrings(t, in(source(t, "postgres"), "holder"), "select n::text from mine"))
	require.NoError(t, newEngine().Discard(ctx, user, req))
}

func TestAnOrdinaryUserRestoresWhatASuperuserDumped(t *testing.T) {
	execute(t, source(t, "postgres"), `CREATE ROLE plain LOGIN CREATEDB PASSWORD 'plain'`)
	t.Cleanup(func() { execute(t, source(t, "postgres"), "DROP ROLE plain") })
	src := newSample(t, "plain sample")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target := fresh(t)
	user := in(src, target)
	user.Config.Username, user.Config.Password = "plain", "plain"
	report := enginetest.Restore(t, newEngine(), user, archive.Request("bbbb0008", target), archive.Opener())
	require.NotEmpty(t, report.Warnings)
	require.Equal(t, []string{"3001"}, queryStrings(t, user, "select count(*)::text from sales.customers"))
	require.Equal(t, []string{"plain"}, queryStrings(t, user, "select tableowner::text from pg_tables where tablename = 'customers'"))
}

func TestARoleThatIsMissingOnTheTargetCostsOnlyOwners(t *testing.T) {
	execute(t, source(t, "postgres"), "CREATE ROLE passing")
	src := create(t, "passing roles", "")
	execute(t, src, "CREATE TABLE p (id int)", "ALTER TABLE p OWNER TO passing")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	execute(t, src, "DROP TABLE p")
	execute(t, source(t, "postgres"), "DROP ROLE passing")
	target := fresh(t)
	report := enginetest.Restore(t, newEngine(), src, archive.Request("bbbb0009", target), archive.Opener())
	require.Len(t, report.Warnings, 1)
	require.Contains(t, report.Warnings[0], "passing")
}

func TestALocaleThatIsMissingIsReplacedWithAWarning(t *testing.T) {
	src := small(t, "locale")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	archive.Stream.Properties["lc_collate"], archive.Stream.Properties["lc_ctype"] = "xx_XX.UTF-8", "xx_XX.UTF-8"
	target := fresh(t)
	report := enginetest.Restore(t, newEngine(), src, archive.Request("bbbb0010", target), archive.Opener())
	require.Len(t, report.Warnings, 1)
	require.Contains(t, report.Warnings[0], "xx_XX.UTF-8")
}

func TestAnSQLErrorInARestoreLeavesTheTargetAndNoStaging(t *testing.T) {
	src := create(t, "sql error", "")
	execute(t, src, "CREATE FUNCTION positive(int) RETURNS bool LANGUAGE sql AS 'select $1 > 0'",
		"CREATE TABLE c (v int CHECK (positive(v)))", "INSERT INTO c VALUES (1)",
		"CREATE OR REPLACE FUNCTION positive(int) RETURNS bool LANGUAGE sql AS 'select $1 > 100'")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{}) // its own check refuses its row
	req := archive.Request("bbbb0011", "sql error")
	req.DropExisting = true
	before := databases(t)
	_, err := newEngine().Stage(enginetest.Context(t), src, req, archive.Opener())
	require.ErrorContains(t, err, "check violation")
	require.Equal(t, before, databases(t))
	require.Equal(t, []string{"1"}, queryStrings(t, src, "select v::text from c"))
}

func TestACancelledRestoreLeavesNoStaging(t *testing.T) {
	src := small(t, "cancelled")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	before := databases(t)
	ctx, cancel := context.WithTimeout(enginetest.Context(t), 500*time.Millisecond)
	defer cancel()
	_, err := newEngine().Stage(ctx, src, archive.Request("bbbb0012", "cancelled"), archive.StuckAt(len(archive.Bytes)/2))
	enginetest.RequireClass(t, failure.Timeout, err)
	require.Equal(t, before, databases(t))
}

func TestALostAttemptLeavesTheDatabaseOfItsSuccessorAlone(t *testing.T) {
	src := small(t, "superseded")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target := fresh(t)
	req, ctx := archive.Request("bbbb0014", target), enginetest.Context(t)
	lostCtx, cancelLost := context.WithCancel(ctx)
	defer cancelLost()
	lost, loading := make(chan error, 1), make(chan struct{})
	go func() {
		_, err := newEngine().Stage(lostCtx, src, req, func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
			close(loading)
			return archive.StuckAt(len(archive.Bytes)/2)(ctx, name, offset)
		})
		lost <- err
	}()
	<-loading
	_, err := newEngine().Stage(ctx, src, req, archive.Opener())
	require.NoError(t, err)
	cancelLost()
	require.Error(t, <-lost)
	_, err = newEngine().Promote(ctx, src, req)
	require.NoError(t, err)
	require.Equal(t, []string{"3"}, queryStrings(t, in(src, target), "select count(*)::text from kept"))
}

func TestCheckTargetRefuses(t *testing.T) {
	execute(t, source(t, "postgres"), `CREATE ROLE nobody LOGIN PASSWORD 'nobody'`, `CREATE ROLE maker LOGIN CREATEDB PASSWORD 'maker'`)
	t.Cleanup(func() { execute(t, source(t, "postgres"), "DROP ROLE nobody", "DROP ROLE maker") })
	src := small(t, "checked")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	for name, test := range map[string]struct {
		user, target, says string
	}{
		"a user without CREATEDB":      {"nobody", "new", "CREATEDB"},
		"another owner's database":     {"maker", "checked", "belongs to"},
		"template1":                    {"", "template1", "never replaced"},
		"postgres":                     {"", "postgres", "never replaced"},
		"no name":                      {"", "", "can not be the name"},
		"a name of more than 63 bytes": {"", "ééééééééééééééééééééééééééééééééé", "66 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			target := src
			if test.user != "" {
				target.Config.Username, target.Config.Password = test.user, test.user
			}
			req := archive.Request("bbbb0013", test.target)
			req.DropExisting = true
			err := newEngine().CheckTarget(enginetest.Context(t), target, req)
			enginetest.RequireClass(t, failure.ConfigInvalid, err)
			require.Contains(t, failure.Message(err), test.says)
		})
	}
}
