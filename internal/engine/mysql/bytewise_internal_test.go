package mysql

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// setsNames stands at the beginning of every dump.
const setsNames = "/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;\n/*!40101 SET NAMES binary */;\n"

// readBytewise reads a dump as one that was made bytewise.
func readBytewise(dump io.Reader) (string, *bytewise, error) {
	r, texts := newRecutter(dump), &bytewise{}
	r.readBytewise(texts)
	out, err := io.ReadAll(r)
	return string(out), texts, err
}

func TestABytewiseDumpSaysThatItsTextsAreUTF8(t *testing.T) {
	dump := strings.Replace(dumpOf(packetBytes, map[string][]string{"a": {"(1,'SET NAMES binary ü')"}}),
		"CREATE TABLE `a`", setsNames+"CREATE TABLE `a`", 1)
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(dump), "byte by byte": iotest.OneByteReader(strings.NewReader(dump))} {
		out, _, err := readBytewise(r)
		require.NoError(t, err, name)
		require.Equal(t, strings.Replace(dump, "/*!40101 SET NAMES binary */", "/*!40101 SET NAMES utf8mb4 */", 1), out, name)
	}
	_, _, err := readBytewise(strings.NewReader(strings.Replace(dump, "/*!40101 SET NAMES binary */;\n", "", 1)))
	require.Equal(t, failure.Corrupt, failure.ClassOf(err), "without it the texts would be read as something else")
}

func TestABytewiseDumpEndsAtATableThatIsNotUTF8(t *testing.T) {
	for name, test := range map[string]struct {
		definition string
		plain      bool
	}{
		"every text is UTF-8":             {"(\n  `a` varchar(20) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin DEFAULT NULL,\n  `b` char(3) CHARACTER SET ascii,\n  `c` longtext CHECK (json_valid(`c`)),\n  KEY `a` (`a`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4", true},
		"what is quoted is no definition": {"(\n  `CHARACTER SET latin1` int DEFAULT '\\' CHARACTER SET latin1' COMMENT 'it''s CHARSET=latin1\n  ` blob',\n  `x``\n  ` int\n) DEFAULT CHARSET=utf8mb3 COMMENT='CHARSET=latin1'", true},
		"an expression with another one":  {"(\n  `a` int,\n  `b` varchar(9) GENERATED ALWAYS AS (cast(`a` as char(9) charset latin1)) STORED\n) DEFAULT CHARSET=utf8mb4", true},
		"a column of another one":         {"(\n  `a` varchar(20) CHARACTER SET latin1\n) DEFAULT CHARSET=utf8mb4", false},
		"a table of another one":          {"(\n  `a` varchar(20)\n) ENGINE=InnoDB DEFAULT CHARSET=latin1", false},
		"a binary column":                 {"(\n  `a` int,\n  `b` varbinary(20)\n) DEFAULT CHARSET=utf8mb4", false},
		"a blob":                          {"(\n  `a``` longblob\n) DEFAULT CHARSET=utf8mb4", false},
		"a type that is not known":        {"(\n  `a` vector(3) NOT NULL\n) DEFAULT CHARSET=utf8mb4", false},
	} {
		t.Run(name, func(t *testing.T) {
			dump := strings.Replace(dumpOf(packetBytes, nil), "CREATE TABLE `a` (\n  `n` int\n);", setsNames+"CREATE TABLE `a` "+test.definition+";", 1)
			_, texts, err := readBytewise(strings.NewReader(dump))
			require.Equal(t, !test.plain, texts.changed)
			if test.plain {
				require.NoError(t, err)
				return
			}
			require.Equal(t, failure.Unknown, failure.ClassOf(err), "it is tried again")
		})
	}
}
