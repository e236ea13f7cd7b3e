package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/postgres"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// tocMinor is where toc.dat says the lower half of the archive's version.
const tocMinor = len("PGDMP") + 1

// newerDump is a dump of src by two jobs whose structure is said to be of a version that is not known, and a pg_restore that
// reads it nevertheless and notes its arguments, but for the last, which is the directory.
func newerDump(t *testing.T, src engine.Source) (archive enginetest.Archive, tools, asked string) {
	t.Helper()
	archive, _ = enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: 2})
	known := byte(0)
	for _, s := range archive.Streams() {
		if s.Stream.Name == "toc.dat" {
			known, s.Bytes[tocMinor] = s.Bytes[tocMinor], 99
		}
	}
	require.NotZero(t, known)
	asked = filepath.Join(t.TempDir(), "asked")
	script := fmt.Sprintf(`for dir in "$@"; do :; done
printf '\%03o' | dd of="$dir/toc.dat" bs=1 seek=%d conv=notrunc status=none || exit 9
for word in "$@"; do case "$word" in --section=*|--jobs=*|--use-list=*) printf '%%s ' "$word";; esac; done >>%s
echo >>%s
exec %s "$@"`, known, tocMinor, asked, asked, tool("pg_restore"))
	return archive, enginetest.FakeTool(t, tool("pg_restore"), script), asked
}

// TestADumpOfAVersionThatIsNotKnownHasItsIndexesMadeByOneJob: of several, two may miss what the other attaches.
func TestADumpOfAVersionThatIsNotKnownHasItsIndexesMadeByOneJob(t *testing.T) {
	src := newLarge(t, "newer")
	archive, tools, asked := newerDump(t, src)
	ownTemp(t)
	req := archive.Request("eeee5001", fresh(t))
	req.Jobs = 4
	report := enginetest.Restore(t, withTools(tools), src, req, archive.Opener())
	require.Empty(t, report.Warnings)
	require.Equal(t, content(t, src), content(t, in(src, req.Target)))
	lines, err := os.ReadFile(asked)
	require.NoError(t, err)
	require.Equal(t, "--jobs=4 --section=pre-data --section=data \n--jobs=1 --section=post-data \n", string(lines))
}

func TestADumpThatIsWrittenToDiskIsRefusedWhereItHasNoRoom(t *testing.T) {
	src := newSample(t, "no room")
	archive, tools, asked := newerDump(t, src)
	ownTemp(t)
	before := databases(t)
	req := archive.Request("eeee5002", fresh(t))
	req.Streams = slices.Clone(req.Streams)
	for i, s := range req.Streams {
		if s.Format == postgres.BundleFormat {
			req.Streams[i].Bytes = 1 << 60
		}
	}
	_, err := withTools(tools).(engine.Stager).Stage(enginetest.Context(t), src, req, func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
		require.Equal(t, "toc.dat", name, "nothing is read that can not be kept")
		return archive.Opener()(ctx, name, offset)
	})
	enginetest.RequireClass(t, failure.StorageFull, err)
	require.ErrorContains(t, err, "115292150460")
	require.Contains(t, failure.HintOf(err), "TMPDIR")
	require.Equal(t, before, databases(t))
	require.NoFileExists(t, asked)
}

// TestARestoreOfADumpByJobsTakesNoDisk: small files go from their bundles to the server.
func TestARestoreOfADumpByJobsTakesNoDisk(t *testing.T) {
	src := create(t, "no disk", "")
	execute(t, src, `COMMENT ON DATABASE "no disk" IS 'small tables'`, `DO $$ BEGIN FOR i IN 1..16 LOOP EXECUTE format('CREATE TABLE t%s AS SELECT g AS id, repeat(md5(g::text), 8) AS v FROM generate_series(1, 3000) g', i); END LOOP; END $$`,
		"SELECT lo_from_bytea(0, decode(repeat('00ff10', 1000 + 100 * i), 'hex')) FROM generate_series(1, 60) i")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: 2})
	var stored int64
	for _, s := range archive.Streams() {
		stored += s.Stream.Bytes
	}
	require.Greater(t, stored, int64(8<<20))
	ownTemp(t)
	for _, jobs := range []int{1, 3} {
		req := archive.Request(fmt.Sprintf("eeee6%03d", jobs), fresh(t))
		req.Jobs = jobs
		most := int64(0)
		report := enginetest.Restore(t, newEngine(), src, req, watchedAtEnd(archive.Opener(), func() { most = max(most, used(os.Getenv("TMPDIR"))) }))
		require.Empty(t, report.Warnings)
		require.Equal(t, content(t, src), content(t, in(src, req.Target)))
		require.Positive(t, most, "nothing was looked at")
		require.Less(t, most, int64(1<<20), "of %d bytes", stored)
	}
}

// watchedAtEnd calls look when a stream has been read to its end.
func watchedAtEnd(open engine.Opener, look func()) engine.Opener {
	return func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
		r, err := open(ctx, name, offset)
		if err != nil {
			return nil, err
		}
		return atEnd{r, look}, nil
	}
}

type atEnd struct {
	io.ReadCloser
	look func()
}

func (a atEnd) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err == io.EOF {
		a.look()
	}
	return n, err
}

// TestABundleThatIsNotWhatItSaysIsCorrupt: what a backup says is in a bundle has to be there, and nothing else.
func TestABundleThatIsNotWhatItSaysIsCorrupt(t *testing.T) {
	src := newSample(t, "bundles")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: 2})
	before := databases(t)
	for name, damage := range map[string]func(bundle *enginetest.Archive){
		"cut":   func(b *enginetest.Archive) { b.Bytes = b.Bytes[:len(b.Bytes)/2] },
		"empty": func(b *enginetest.Archive) { b.Bytes = make([]byte, 1024) },
		"without an end": func(b *enginetest.Archive) {
			b.Bytes = bytes.Replace(b.Bytes, []byte("\\.\n\n\n"), []byte("\\,\n\n\n"), 1)
		},
		"another's files": func(b *enginetest.Archive) { b.Bytes = bytes.Replace(b.Bytes, []byte("blob_"), []byte("blub_"), 1) },
	} {
		t.Run(name, func(t *testing.T) {
			damaged := archive
			damaged.Others = slices.Clone(archive.Others)
			at := slices.IndexFunc(damaged.Others, func(a enginetest.Archive) bool { return a.Stream.Format == postgres.BundleFormat })
			bundle := &damaged
			if at >= 0 {
				bundle = &damaged.Others[at]
			}
			require.True(t, strings.HasSuffix(bundle.Stream.Name, ".tar"))
			damage(bundle)
			req := damaged.Request("eeee7001", fresh(t))
			req.Jobs = 2
			_, err := newEngine().Stage(enginetest.Context(t), src, req, damaged.Opener())
			enginetest.RequireClass(t, failure.Corrupt, err)
			require.Equal(t, before, databases(t))
		})
	}
}

// TestAnIndexOfPartitionsThatIsNotValidIsTold: no query uses it, and nobody would know.
func TestAnIndexOfPartitionsThatIsNotValidIsTold(t *testing.T) {
	src := create(t, "invalid index", "")
	execute(t, src, "CREATE TABLE whole (id int, v text) PARTITION BY RANGE (id)", "CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (9)",
		`CREATE INDEX valid ON whole (id)`, `CREATE INDEX "in valid" ON ONLY whole (v)`)
	for jobs := range 2 {
		archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: 1 + jobs})
		report := enginetest.Restore(t, newEngine(), src, archive.Request(fmt.Sprintf("eeee800%d", jobs), fresh(t)), archive.Opener())
		require.Len(t, report.Warnings, 1)
		require.Contains(t, report.Warnings[0], `not valid, and no query uses them: public."in valid".`)
	}
}
