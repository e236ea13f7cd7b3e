package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// archiveWriter writes the custom format as pg_dump of a version does.
type archiveWriter struct{ bytes.Buffer }

func (w *archiveWriter) int(n int) {
	w.WriteByte(0)
	_ = binary.Write(w, binary.LittleEndian, int32(n)) //nolint:gosec // small numbers
}

func (w *archiveWriter) strings(values ...string) {
	for _, s := range values {
		w.int(len(s))
		w.WriteString(s)
	}
}

func (w *archiveWriter) null() { w.WriteByte(1); _ = binary.Write(w, binary.LittleEndian, int32(1)) }

// head is the archive's header.
func (w *archiveWriter) head(version int) {
	w.WriteString(magic)
	w.Write([]byte{byte(version >> 8), byte(version), 0, 4, 8, customFormat})
	if version >= versionAlgorithm {
		w.WriteByte(0)
	} else {
		w.int(0)
	}
	for range 7 {
		w.int(1)
	}
	w.strings("db", "15.18", "15.18")
}

// sampleArchive has two tables, one large object entry and one entry without data.
func sampleArchive(version int) []byte {
	w := &archiveWriter{}
	w.head(version)
	kinds := []string{"TABLE DATA", "TABLE DATA", "BLOBS", "TABLE"}
	w.int(len(kinds))
	for i, kind := range kinds {
		w.int(i + 1)
		w.int(1)
		w.strings("0", "0", strings.Repeat("tag", 50), kind)
		w.int(2)
		w.strings("create", "drop", "copy", "public")
		w.null()
		if version >= versionTableAM {
			w.strings("heap")
		}
		if version >= versionRelKind {
			w.int('r')
		}
		w.strings("owner", "false", "1", "2")
		w.null()
		w.WriteByte(map[bool]byte{true: 1, false: offsetNoData}[i < 3])
		w.Write(make([]byte, 8))
	}
	for i := range 2 {
		w.WriteByte(blockData)
		w.int(i + 1)
		w.strings("some rows", strings.Repeat("x", 300))
		w.int(0)
	}
	w.WriteByte(blockLarge)
	w.int(3)
	w.int(4711)
	w.strings("bytes")
	w.int(0)
	w.int(0)
	return w.Bytes()
}

func walk(data []byte, oneByOne bool) (summary, error) {
	w := newWalker()
	if oneByOne {
		for i := range data {
			_, _ = w.Write(data[i : i+1])
		}
	} else {
		_, _ = w.Write(data)
	}
	return w.Close()
}

func TestEveryVersionOfTheFormatIsFollowed(t *testing.T) {
	for _, version := range []int{oldestArchive, versionTableAM, versionAlgorithm, versionRelKind} {
		for _, oneByOne := range []bool{false, true} {
			found, err := walk(sampleArchive(version), oneByOne)
			require.NoError(t, err)
			require.True(t, found.known)
			require.Equal(t, 2, found.tables)
			require.Len(t, found.blocks, 3)
		}
	}
	found, err := walk(sampleArchive(newestArchive+1), true)
	require.NoError(t, err, "a version of the future is left to pg_restore")
	require.False(t, found.known)
}

func TestADumpCutAtAnyByteIsFound(t *testing.T) {
	whole := sampleArchive(versionTableAM)
	for cut := range whole {
		_, err := walk(whole[:cut], false)
		require.Equal(t, failure.Corrupt, failure.ClassOf(err), "cut at byte %d of %d", cut, len(whole))
	}
}

func TestTheWalkerStandsInTheWayOfTheEnd(t *testing.T) {
	whole := sampleArchive(versionTableAM)
	require.NoError(t, iotest.TestReader(&walked{r: bytes.NewReader(whole), w: newWalker()}, whole))
	r := &walked{r: bytes.NewReader(whole[:len(whole)-1]), w: newWalker()}
	_, err := bytes.NewBuffer(nil).ReadFrom(r)
	require.Equal(t, failure.Corrupt, failure.ClassOf(err))
}

func TestTheBlocksOfADumpAreItsParts(t *testing.T) {
	whole := sampleArchive(versionTableAM)
	found, err := walk(whole, false)
	require.NoError(t, err)
	var offsets []int64
	for _, block := range found.blocks {
		offsets = append(offsets, block.offset)
	}
	for _, longest := range []int{1, 7, 200, len(whole)} {
		r := &walked{r: bytes.NewReader(whole), w: newWalker()}
		var parts []int64
		for passed := int64(0); passed < int64(len(whole)); {
			n, err := r.Read(make([]byte, longest))
			require.NoError(t, err)
			for _, part := range r.Parts() {
				require.GreaterOrEqual(t, part, passed)
				require.Less(t, part, passed+int64(n))
			}
			parts, passed = append(parts, r.Parts()...), passed+int64(n)
		}
		require.Equal(t, offsets, parts, "pieces of %d bytes", longest)
	}
}

// TestOnlyTheRowsLineBreaksAreCounted: the length of a row may look like one.
func TestOnlyTheRowsLineBreaksAreCounted(t *testing.T) {
	w := &archiveWriter{}
	w.Write(sampleArchive(versionTableAM))
	w.WriteByte(blockData)
	w.int(9)
	lengths := []int{1, 10, 11, 10<<8 | 10, 10 << 8, 266, 9, 10 << 16}
	for _, length := range lengths {
		w.strings(strings.Repeat("x", length-1) + "\n")
	}
	w.strings("two\nlines\n")
	w.int(0)
	for _, size := range []int{1, 3, 1000, 4096, w.Len()} {
		walker := newWalker()
		walker.lines = true
		for rest := w.Bytes(); len(rest) > 0; rest = rest[min(len(rest), size):] {
			_, _ = walker.Write(rest[:min(len(rest), size)])
		}
		found, err := walker.Close()
		require.ErrorIs(t, err, errCutShort, "one block more than the table of contents promises")
		last := found.blocks[len(found.blocks)-1]
		require.EqualValues(t, len(lengths)+2, last.lines, "in pieces of %d", size)
		require.Equal(t, int64(w.Len()), last.offset+last.size)
	}
}

// TestWhatAStreamShowsIsWalkedAsWhatIsReadOfIt: WriteTo and Read find the same, and the same damage.
func TestWhatAStreamShowsIsWalkedAsWhatIsReadOfIt(t *testing.T) {
	whole := sampleArchive(versionTableAM)
	for _, cut := range []int{0, 3, len(whole) / 2, len(whole) - 1, len(whole)} {
		ended := 0
		checked := &walked{r: bytes.NewReader(whole[:cut]), w: newWalker(), atEnd: func(summary) { ended++ }}
		_, err := checked.WriteTo(io.Discard)
		if cut < len(whole) {
			require.Equal(t, failure.Corrupt, failure.ClassOf(err), "cut at %d", cut)
			require.Zero(t, ended)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, 1, ended)
		require.Equal(t, 2, checked.found.tables)
	}
	failed := errors.New("the chunk is damaged")
	_, err := (&walked{r: io.MultiReader(bytes.NewReader(whole[:9]), iotest.ErrReader(failed)), w: newWalker()}).WriteTo(io.Discard)
	require.ErrorIs(t, err, failed)
	_, err = (&walked{r: strings.NewReader("no dump at all, but long enough"), w: newWalker()}).WriteTo(io.Discard)
	require.ErrorIs(t, err, errBadArchive)
}

// pg_dump writes a length before every row, so this is what following a dump costs.
func BenchmarkWalker(b *testing.B) {
	w := &archiveWriter{}
	w.Write(sampleArchive(versionTableAM))
	w.WriteByte(blockData)
	w.int(9)
	for range 100_000 {
		w.strings("1234567\t12345678\t0\t                                                                                    \n")
	}
	b.SetBytes(int64(w.Len()))
	for b.Loop() {
		walker := newWalker()
		walker.lines = true
		for rest := w.Bytes(); len(rest) > 0; rest = rest[min(len(rest), 64<<10):] {
			_, _ = walker.Write(rest[:min(len(rest), 64<<10)])
		}
		walker.stop()
	}
}

func FuzzWalkerNeverPanics(f *testing.F) {
	f.Add(sampleArchive(versionTableAM))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = walk(data, false) })
}

func TestToolMessagesAreClassified(t *testing.T) {
	for message, want := range map[string]failure.Class{
		`pg_dump: error: connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  password authentication failed for user "u"`: failure.AuthFailed,
		`pg_dump: error: connection to server at "db" failed: FATAL:  no pg_hba.conf entry for host "10.0.0.2"`:                          failure.AuthFailed,
		`pg_dump: error: connection to server at "db" failed: FATAL:  database "x" does not exist`:                                       failure.NotFound,
		`pg_dump: error: connection to server at "127.0.0.1", port 1 failed: Connection refused`:                                         failure.Unreachable,
		`pg_dump: error: could not translate host name "db" to address: Name or service not known`:                                       failure.Unreachable,
		`pg_dump: error: connection to server at "db", port 5432 failed: timeout expired`:                                                failure.Timeout,
		`pg_dump: error: connection to server at "db" failed: server does not support SSL, but SSL was required`:                         failure.ConfigInvalid,
		`pg_dump: error: no matching tables were found for pattern "nope"`:                                                               failure.ConfigInvalid,
		`pg_dump: error: aborting because of server version mismatch`:                                                                    failure.ToolMissing,
		`pg_restore: error: could not execute query: ERROR:  could not extend file "base/1/2": No space left on device`:                  failure.StorageFull,
		`pg_dump: error: query failed: ERROR:  permission denied for table secrets`:                                                      failure.ConfigInvalid,
		`pg_restore: error: could not execute query: ERROR:  role "app" does not exist`:                                                  failure.ConfigInvalid,
		`pg_restore: error: could not execute query: ERROR:  extension "postgis" is not available`:                                       failure.ConfigInvalid,
		`pg_restore: error: input file does not appear to be a valid archive`:                                                            failure.Corrupt,
		`pg_restore: error: could not read from input file: end of file`:                                                                 failure.Corrupt,
		`pg_restore: error: could not execute query: ERROR:  syntax error at or near "x"`:                                                failure.Unknown,
	} {
		err := classifyTool("dump", &process.ExitError{Program: "pg_dump", Code: 1, Stderr: message + "\n"})
		require.Equal(t, want, failure.ClassOf(err), message)
	}
	kept := failure.New(failure.StorageFull, "put chunk", "disk full", "")
	require.Equal(t, failure.StorageFull, failure.ClassOf(classifyTool("dump", kept)))
	require.Equal(t, failure.Unknown, failure.ClassOf(classifyTool("dump", errors.New("odd"))))
}

func TestNamesWithASuffixFitAndStayValid(t *testing.T) {
	for _, name := range []string{"short", strings.Repeat("x", 63), strings.Repeat("é", 31), strings.Repeat("語", 21)} {
		got := withSuffix(name, "_old_0123456789abcdef0123456789abcdef")
		require.LessOrEqual(t, len(got), maxName)
		require.True(t, utf8.ValidString(got))
	}
}

func TestListsOfNamesAreQuotedOneByOne(t *testing.T) {
	s := setting{Name: "search_path", Value: `"$user", public, "a ""b"", c"`}
	require.Equal(t, `ALTER DATABASE "d" SET "search_path" TO '$user', 'public', 'a "b", c'`, s.statement("d"))
	s = setting{Role: `r"x`, Name: "app.x", Value: `o'b \ c, d`}
	require.Equal(t, `ALTER ROLE "r""x" IN DATABASE "d" SET "app.x" TO  E'o''b \\ c, d'`, s.statement("d"))
	s = setting{Name: "search_path", Value: `""`}
	require.Equal(t, `ALTER DATABASE "d" SET "search_path" TO ''`, s.statement("d"))
}

func TestTheMarkIsTheLastLineAndComesOff(t *testing.T) {
	for _, comment := range []string{"", "mine", "two\nlines"} {
		marked := withMark(withMark(comment, "aaaa"), "bbbb")
		require.True(t, hasMark(marked, "bbbb"))
		require.False(t, hasMark(marked, "aaaa"))
		require.Equal(t, comment, withoutMark(marked))
	}
}

func TestATableOfContentsIsTheSameInBothFormats(t *testing.T) {
	source := sampleArchive(versionTableAM)
	var directory, again bytes.Buffer
	toc, err := convertTOC(bytes.NewReader(source), &directory, customFormat)
	require.NoError(t, err)
	require.Len(t, toc.withData, 3)
	require.Equal(t, "1.dat", toc.withData[0].file)
	require.Equal(t, map[int]bool{4: true}, toc.tables)
	same, err := convertTOC(bytes.NewReader(directory.Bytes()), &again, tarFormat)
	require.NoError(t, err)
	require.Equal(t, directory.Bytes(), again.Bytes())
	require.Equal(t, toc, same)
	for cut := range directory.Len() {
		_, err := convertTOC(bytes.NewReader(directory.Bytes()[:cut]), io.Discard, tarFormat)
		require.Equal(t, failure.Corrupt, failure.ClassOf(err), "cut at byte %d", cut)
	}
}

func TestOnlyATableThatTheRestoreMadeIsLoadedFrozen(t *testing.T) {
	for name, c := range map[string]struct {
		namespace, table, statement string
		made                        bool
		want                        string
	}{
		"plain names":                      {"public", "orders", "COPY public.orders (id, v) FROM stdin;\n", true, "COPY public.orders (id, v) FROM stdin WITH (FREEZE)"},
		"names in quotes":                  {"My Schema", `a"b`, `COPY "My Schema"."a""b" (id) FROM stdin;` + "\n", true, `COPY "My Schema"."a""b" (id) FROM stdin WITH (FREEZE)`},
		"one name in quotes":               {"public", "user", `COPY public."user" (id) FROM stdin;` + "\n", true, `COPY public."user" (id) FROM stdin WITH (FREEZE)`},
		"a table without columns":          {"public", "none", "COPY public.none  FROM stdin;\n", true, "COPY public.none  FROM stdin WITH (FREEZE)"},
		"a table that an extension made":   {"public", "orders", "COPY public.orders (id) FROM stdin;\n", false, ""},
		"rows that go through their root":  {"public", "part_1", "COPY public.part (id) FROM stdin;\n", true, ""},
		"a table whose name is only begun": {"public", "part", "COPY public.part_1 (id) FROM stdin;\n", true, ""},
		"a statement of another kind":      {"public", "orders", "COPY public.orders (id) FROM stdin WITH OIDS;\n", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, frozen := entry{namespace: c.namespace, tag: c.table, copyInto: c.statement}.copyStatement(c.made)
			if c.want == "" {
				require.False(t, frozen)
				require.Equal(t, c.statement, got, "it stays as pg_dump wrote it")
				return
			}
			require.True(t, frozen)
			require.Equal(t, c.want, got)
		})
	}
}

func TestPausesAreLongOverLoopbackOnly(t *testing.T) {
	var direct engine.Source
	loopback := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	long, short := longestPause(direct, loopback), longestPause(direct, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)})
	require.Greater(t, long, short)
	require.Equal(t, long, longestPause(direct, &net.TCPAddr{IP: net.IPv6loopback}))
	require.Equal(t, short, longestPause(direct, &net.UnixAddr{Name: "/run/postgresql/.s.PGSQL.5432"}))
	require.Equal(t, short, longestPause(engine.Source{Via: "127.0.0.1:5433"}, loopback), "the server is at the tunnel's other end")
}
