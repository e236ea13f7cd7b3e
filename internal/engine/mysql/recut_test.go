package mysql

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// dumpOf writes rows as mariadb-dump does, with INSERTs of at most size bytes.
func dumpOf(size int, tables map[string][]string) string {
	var text strings.Builder
	text.WriteString("/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)\n--\n-- Host: localhost    Database: src\n" +
		strings.Repeat("-- filler, as a header is longer than what is looked at of it\n", 4))
	for _, name := range []string{"a", "b"} {
		fmt.Fprintf(&text, "CREATE TABLE `%s` (\n  `n` int\n);\n/*!40000 ALTER TABLE `%s` DISABLE KEYS */;\n", name, name)
		written := 0
		for i, row := range tables[name] {
			switch {
			case i == 0 || written+len(row) > size:
				if i > 0 {
					text.WriteString(";\n")
				}
				fmt.Fprintf(&text, "INSERT INTO `%s` VALUES\n", name)
				written = 0
			default:
				text.WriteString(",\n")
			}
			text.WriteString(row)
			written += len(row)
		}
		if len(tables[name]) > 0 {
			text.WriteString(";\n")
		}
		fmt.Fprintf(&text, "/*!40000 ALTER TABLE `%s` ENABLE KEYS */;\n", name)
	}
	return text.String() + "\n-- Dump completed\n"
}

// rowsOf joins the INSERTs of a dump: what is left does not depend on where they begin.
func rowsOf(dump string) string {
	for _, name := range []string{"a", "b"} {
		dump = strings.ReplaceAll(dump, ";\nINSERT INTO `"+name+"` VALUES\n(", ",\n(")
	}
	return dump
}

func sampleRows(n int) []string {
	random := rand.New(rand.NewPCG(1, 2))
	rows := make([]string, n)
	for i := range rows {
		rows[i] = fmt.Sprintf("(%d,'%s;,',NULL)", i, strings.Repeat("x\\n;", random.IntN(40)))
	}
	return rows
}

func recut(t *testing.T, dump io.Reader) string {
	t.Helper()
	out, err := io.ReadAll(newRecutter(dump))
	require.NoError(t, err)
	return string(out)
}

func TestINSERTsBeginWhereTheirRowsSay(t *testing.T) {
	rows := sampleRows(30_000)
	tables := map[string][]string{"a": rows, "b": rows[:3]}
	before := dumpOf(packetBytes, tables)
	cut := recut(t, strings.NewReader(before))
	// The first INSERT of a table stays one in rowsOf.
	require.Equal(t, rowsOf(before), rowsOf(cut), "no row is lost or changed")
	inserts := strings.Split(cut, "INSERT INTO `a` VALUES\n")
	require.Greater(t, len(inserts), 5)
	for _, insert := range inserts {
		require.Less(t, len(insert), packetBytes+1000)
	}
	require.Equal(t, cut, recut(t, strings.NewReader(dumpOf(10_000, tables))), "whatever the tool's own")
	for name, reader := range map[string]io.Reader{
		"byte by byte": iotest.OneByteReader(strings.NewReader(before)), "by halves": iotest.HalfReader(strings.NewReader(before)),
	} {
		require.Equal(t, cut, recut(t, reader), name)
	}

	changed := append([]string{rows[0], "(1000000,'one more',NULL)"}, rows[1:]...)
	after := recut(t, strings.NewReader(dumpOf(packetBytes, map[string][]string{"a": changed, "b": rows[:3]})))
	require.Equal(t, inserts[3:], strings.Split(after, "INSERT INTO `a` VALUES\n")[3:], "a row more changes no later INSERT")
}

func TestADumpWithEveryRowOnOneLinePassesAsItIs(t *testing.T) {
	dump := strings.ReplaceAll(strings.ReplaceAll(dumpOf(packetBytes, map[string][]string{"a": sampleRows(100), "b": nil}), "),\n(", "),("), "VALUES\n", "VALUES ")
	require.Equal(t, dump, recut(t, strings.NewReader(dump)))
}

func TestACutDumpIsAnErrorWhereverItIsCut(t *testing.T) {
	dump := dumpOf(packetBytes, map[string][]string{"a": sampleRows(20), "b": sampleRows(2)})
	for n := range len(dump) {
		_, err := io.ReadAll(newRecutter(strings.NewReader(dump[:n])))
		require.Error(t, err, "%d bytes", n)
	}
}

func TestRowsOfMySQLsOwnToolAreCountedInTheirOneLine(t *testing.T) {
	dump := "-- MySQL dump 10.13  Distrib 8.0.39, for Linux (x86_64)\n--\n" + strings.Repeat("-- filler, as a header is longer than what is looked at of it\n", 6) +
		"CREATE TABLE `a``b` (\n  `n` int\n);\n" +
		"INSERT INTO `a``b` VALUES (1,'it\\'s (a) \\\\',NULL),(2,'\\n;),(','it''s'),(3,_binary '\\0(',0xFF);\nINSERT INTO `a``b` VALUES (4,'','');\n" +
		"INSERT INTO `other` (`n`, `t`) VALUES (1,'x'),(2,'y');\n\n-- Dump completed\n"
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(dump), "byte by byte": iotest.OneByteReader(strings.NewReader(dump))} {
		t.Run(name, func(t *testing.T) {
			cutting := newRecutter(r)
			passed, err := io.ReadAll(cutting)
			require.NoError(t, err)
			require.Equal(t, dump, string(passed))
			require.False(t, cutting.script.cuts.count.unknown || cutting.script.cuts.count.open())
			require.Equal(t, map[string]int64{"a`b": 4, "other": 2}, cutting.script.cuts.count.rows)
		})
	}
}
