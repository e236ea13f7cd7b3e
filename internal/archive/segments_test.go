package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// segmentList is a Segmented stream of given segments.
type segmentList []Segment

func (segmentList) Read([]byte) (int, error) { panic("the segments are read, not the stream") }

func (s *segmentList) Next() (Segment, error) {
	if len(*s) == 0 {
		return Segment{}, io.EOF
	}
	next := (*s)[0]
	*s = (*s)[1:]
	return next, nil
}

func fresh(pieces ...[]byte) *segmentList {
	var s segmentList
	for _, piece := range pieces {
		s = append(s, Segment{Data: bytes.NewReader(piece)})
	}
	return &s
}

// writeSegments stores a stream of segments as "main".
func writeSegments(t *testing.T, opts WriterOptions, key string, s Segmented) (CommitResult, *Writer, error) {
	t.Helper()
	ctx := context.Background()
	w, err := NewWriter(ctx, opts)
	require.NoError(t, err)
	if err := w.WriteStream(ctx, StreamMeta{Name: "main", Format: "text"}, s); err != nil {
		return CommitResult{}, w, err
	}
	result, err := w.Commit(ctx, testHeader(), key)
	return result, w, err
}

// onTop are the options of a backup that builds on m.
func onTop(t *testing.T, opts WriterOptions, store storage.Store, m *Manifest) WriterOptions {
	t.Helper()
	opts.Known = new(KnownChunks)
	require.NoError(t, opts.Known.AddManifest(m, testDir()))
	require.NoError(t, opts.Known.Confirm(context.Background(), store, testDir(), domain.CompressionZstd, len(opts.Recipients) > 0))
	opts.Parent, opts.Folder = testExecution, FolderOf("aabbccdd", incrementExecution, 1)
	return opts
}

func incrementKey() string { return ManifestKey(testDir(), testStart.Add(1), incrementExecution, 1) }

func TestSegmentsOfTheBaseAreReusedWithoutTheirData(t *testing.T) {
	store, id := newMemory(), identity(t)
	opts := options(store, id.Recipient())
	a, b, c := dumpText(1, 50_000), dumpText(2, 700), dumpText(3, 20_000)
	full, _, err := writeSegments(t, opts, testManifestKey(), fresh(a, nil, b, c))
	require.NoError(t, err)
	require.Equal(t, slices.Concat(a, b, c), readBack(t, store, full.Manifest, id))

	parent, err := OpenManifest(context.Background(), store, testManifestKey(), full.ManifestSHA256)
	require.NoError(t, err)
	layout := NewLayout(parent)
	first, err := layout.Run("main", 0, int64(len(a)))
	require.NoError(t, err)
	last, err := layout.Run("main", int64(len(a)+len(b)), int64(len(c)))
	require.NoError(t, err)
	added := dumpText(4, 3_000)
	opts = onTop(t, opts, store, parent)
	require.True(t, opts.Known.Holds(first))
	child, w, err := writeSegments(t, opts, incrementKey(), &segmentList{{Reused: last}, {Data: bytes.NewReader(added)}, {Reused: first}, {Reused: last}})
	require.NoError(t, err)

	want := slices.Concat(c, added, a, c)
	require.Equal(t, int64(len(want)), w.Counters().Bytes)
	m, err := OpenManifest(context.Background(), store, incrementKey(), child.ManifestSHA256)
	require.NoError(t, err)
	require.Equal(t, want, readBack(t, store, m, id))
	_, _, err = CheckBytes(context.Background(), store, m, nil)
	require.NoError(t, err)
	own := 0
	for i := range m.Objects {
		if m.Folder(i) == opts.Folder {
			own++
		}
	}
	require.Positive(t, own)
	require.Less(t, own, 4, "only what was added is stored")

	// The parent goes, and with it what the child does not name: the child stays whole.
	named := map[string]bool{RepositoryKey: true, incrementKey(): true}
	for i := range m.Objects {
		named[m.ObjectKey(i)] = true
	}
	for key := range contents(t, store) {
		if !named[key] {
			require.NoError(t, store.Delete(context.Background(), key))
		}
	}
	require.Equal(t, want, readBack(t, store, m, id))
}

func TestOnlyWholeSegmentsOfTheBaseAreReused(t *testing.T) {
	store := newMemory()
	a, b := dumpText(1, 30_000), dumpText(2, 30_000)
	full, _, err := writeSegments(t, options(store), testManifestKey(), fresh(a, b))
	require.NoError(t, err)
	layout := NewLayout(full.Manifest)
	for name, c := range map[string]struct {
		stream        string
		offset, bytes int64
	}{
		"it begins within a chunk":  {"main", 1, 29_999},
		"it ends within a chunk":    {"main", 0, 29_999},
		"it ends behind the stream": {"main", 30_000, 30_001},
		"it begins behind it":       {"main", 60_001, 1},
		"it begins before it":       {"main", -1, 30_001},
		"it holds nothing":          {"main", 0, 0},
		"its length is negative":    {"main", 30_000, -30_000},
		"it overflows":              {"main", 30_000, 1<<63 - 1},
		"no stream has its name":    {"other", 0, 30_000},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := layout.Run(c.stream, c.offset, c.bytes)
			require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%v", err)
		})
	}
	run, err := layout.Run("main", 30_000, 30_000)
	require.NoError(t, err)
	require.NotEmpty(t, run.chunks)
}

func TestWhatTheStorageHasNotIsNotReused(t *testing.T) {
	store := newMemory()
	a, b := dumpText(1, 30_000), dumpText(2, 30_000)
	full, _, err := writeSegments(t, options(store), testManifestKey(), fresh(a, b))
	require.NoError(t, err)
	layout := NewLayout(full.Manifest)
	lost, err := layout.Run("main", 0, 30_000)
	require.NoError(t, err)
	kept, err := layout.Run("main", 30_000, 30_000)
	require.NoError(t, err)
	require.NoError(t, store.Delete(context.Background(), full.Manifest.ObjectKey(1)))

	opts := onTop(t, options(store), store, full.Manifest)
	require.False(t, opts.Known.Holds(lost))
	require.True(t, opts.Known.Holds(kept))
	_, _, err = writeSegments(t, opts, incrementKey(), &segmentList{{Reused: kept}, {Reused: lost}})
	require.Equal(t, failure.Corrupt, failure.ClassOf(err), "%v", err)
	require.ErrorContains(t, err, "is not on the storage location")
	require.NotContains(t, contents(t, store), incrementKey(), "no backup without its data")

	child, _, err := writeSegments(t, opts, incrementKey(), &segmentList{{Data: bytes.NewReader(a)}, {Reused: kept}})
	require.NoError(t, err, "read again, it is stored again")
	require.Equal(t, slices.Concat(a, b), readBack(t, store, child.Manifest))
}

// failingSegments breaks off as an engine does whose source fails between two segments.
type failingSegments struct{ segmentList }

func (f *failingSegments) Next() (Segment, error) {
	if len(f.segmentList) == 0 {
		return Segment{}, errors.New("the source is gone")
	}
	return f.segmentList.Next()
}

func TestASegmentedStreamThatFailsIsNoBackup(t *testing.T) {
	store := newMemory()
	_, w, err := writeSegments(t, options(store), testManifestKey(), &failingSegments{*fresh(dumpText(1, 9_000))})
	require.ErrorContains(t, err, "the source is gone")
	_, err = w.Commit(context.Background(), testHeader(), testManifestKey())
	require.Error(t, err)

	broken := &segmentList{{Data: io.MultiReader(bytes.NewReader(dumpText(1, 9_000)), io.LimitReader(failingReader{}, 1))}}
	_, _, err = writeSegments(t, options(store), testManifestKey(), broken)
	require.ErrorContains(t, err, "it can not be read")
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("it can not be read") }

// A segment's chunks depend on its own bytes alone.
func TestASegmentIsCutTheSameWhateverIsBeforeIt(t *testing.T) {
	piece := dumpText(7, 40_000)
	ids := func(before []byte) []ChunkID {
		store := newMemory()
		result, _, err := writeSegments(t, options(store, []age.Recipient{}...), testManifestKey(), fresh(before, piece))
		require.NoError(t, err)
		run, err := NewLayout(result.Manifest).Run("main", int64(len(before)), int64(len(piece)))
		require.NoError(t, err)
		var ids []ChunkID
		for _, c := range run.chunks {
			ids = append(ids, c.id)
		}
		return ids
	}
	want := ids(nil)
	require.Equal(t, want, ids(dumpText(1, 10)))
	require.Equal(t, want, ids(dumpText(2, 12_345)))
}
