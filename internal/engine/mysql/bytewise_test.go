package mysql_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// dumpsWith is a directory with mariadb-dump, which first runs a line of shell; its arguments are in the file that is returned.
func dumpsWith(t *testing.T, line string) (dir, args string) {
	t.Helper()
	real, err := exec.LookPath("mariadb-dump")
	require.NoError(t, err)
	args = filepath.Join(t.TempDir(), "args")
	dir = enginetest.FakeTool(t, real, fmt.Sprintf("printf '%%s\\n' \"$@\" >%q\n%s\nexec %s \"$@\"", args, line, real))
	return dir, args
}

// utf8Sample is the sample without what keeps it from being dumped bytewise.
func utf8Sample(t *testing.T, name string) engine.Source {
	t.Helper()
	statements := []string{
		"SET NAMES utf8mb4",
		`CREATE TABLE bytes (n int PRIMARY KEY, of_one char(9), of_mb3 varchar(300) CHARACTER SET utf8mb3, of_mb4 text, of_ascii varchar(300) CHARACTER SET ascii,
			y year, d double, dt datetime(3), ti time(6), u uuid, i4 inet4, i6 inet6, zero int(8) zerofill)`,
		`INSERT INTO bytes SELECT seq, char(seq), concat('é€\\', char(seq), 'ü''"'), concat(char(seq), '😀', char(seq), 'ü', char(seq)), char(seq),
			1990 + seq, seq / 7, '2025-02-03 04:05:06.789', '-838:59:59.000001', uuid(), '1.2.3.4', '::1', seq FROM seq_0_to_127`,
	}
	for _, statement := range sample {
		if strings.Contains(statement, "every_type") {
			continue
		}
		statement = strings.NewReplacer("photo longblob", "photo text", "unhex(md5(seq))", "md5(seq)", "SELF", quoted(name)).Replace(statement)
		statements = append(statements, statement)
	}
	return create(t, name, "CHARACTER SET utf8mb4", statements...)
}

func TestADatabaseInUTF8IsDumpedBytewiseAndTheDumpIsTheSame(t *testing.T) {
	src := utf8Sample(t, "ütf8 sample")
	dir, args := dumpsWith(t, "")
	dump := func(opts engine.DumpOptions) (text string, options []string) {
		archive, _ := enginetest.Dump(t, withTools(dir), src, opts)
		given, err := os.ReadFile(args)
		require.NoError(t, err)
		return string(archive.Bytes), strings.Split(string(given), "\n")
	}
	bytewise, options := dump(engine.DumpOptions{})
	require.Contains(t, options, "--default-character-set=binary")
	plain, options := dump(engine.DumpOptions{ExtraArgs: []string{"--comments"}}) // the default
	require.Contains(t, options, "--default-character-set=utf8mb4")
	require.True(t, plain == bytewise, "%s", firstDifference(plain, bytewise)) // not Equal: its message would be megabytes
	require.Contains(t, plain, "😀")

	for what, change := range map[string]string{
		"a binary column":               "ALTER TABLE log ADD COLUMN b varbinary(10)",
		"a column of another encoding":  "ALTER TABLE log ADD COLUMN l varchar(10) CHARACTER SET latin1",
		"a table with another encoding": "ALTER TABLE log DEFAULT CHARACTER SET latin1",
		"a column of a binary kind":     "ALTER TABLE log ADD COLUMN g geometry",
		"a table without transactions":  "ALTER TABLE log ENGINE = MyISAM",
	} {
		execute(t, src.Config.Database, "CREATE OR REPLACE TABLE log (line text CHARACTER SET utf8mb4) CHARACTER SET utf8mb4", change)
		_, options = dump(engine.DumpOptions{})
		require.Contains(t, options, "--hex-blob", what)
		require.Contains(t, options, "--default-character-set=utf8mb4", what)
	}
}

// firstDifference is where two dumps begin to differ.
func firstDifference(a, b string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return fmt.Sprintf("at %d: %q and %q", i, a[max(0, i-40):min(len(a), i+40)], b[max(0, i-40):min(len(b), i+40)])
}

func TestATableThatIsChangedAsABytewiseDumpBeginsIsNotDumpedSo(t *testing.T) {
	src := create(t, "changing", "CHARACTER SET utf8mb4", "CREATE TABLE t (n int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	dir, args := dumpsWith(t, `mariadb "$1" -e "ALTER TABLE changing.t ADD COLUMN IF NOT EXISTS l varchar(20) CHARACTER SET latin1 DEFAULT char(0xE9 USING latin1), ADD COLUMN IF NOT EXISTS b varbinary(9) DEFAULT 0x00E9FF" || exit 9`)
	e := withTools(dir)
	_, _, err := enginetest.TryDump(t, e, src, engine.DumpOptions{})
	enginetest.RequireClass(t, failure.Unknown, err)
	require.ErrorContains(t, err, "another character set")

	archive, _ := enginetest.Dump(t, e, src, engine.DumpOptions{})
	given, err := os.ReadFile(args)
	require.NoError(t, err)
	require.Contains(t, string(given), "--hex-blob\n")
	require.Contains(t, string(archive.Bytes), "(1,'é',0x00E9FF)")
	target := fresh(t)
	enginetest.Restore(t, newEngine(), in(src, target), archive.Request("cccc0060", target), archive.Opener())
	require.Equal(t, []string{`"1" "E9" "00E9FF"`}, queryRows(t, target, "select n, hex(l), hex(b) from t"))
}
