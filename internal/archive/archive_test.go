package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
)

// noLeaks fails the test if it leaves goroutines behind. It polls: a goroutine that has done its
// work may still be on its way out, and nothing tells when it is gone.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				stacks := make([]byte, 64*kib)
				t.Fatalf("goroutines are left behind:\n%s", stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

func TestABackupReadsBackAsItWasWritten(t *testing.T) {
	noLeaks(t)
	id := identity(t)
	inputs := map[string][]byte{
		"text": dumpText(1, 300_000), "incompressible bytes": noise(1, 100_000),
		"an empty stream": nil, "one byte": {7}, "one repeated byte": bytes.Repeat([]byte{0}, 200_000),
	}
	for _, compression := range []domain.Compression{domain.CompressionZstd, domain.CompressionGzip, domain.CompressionLZ4, domain.CompressionNone} {
		for _, level := range []int{0, 3, 9} {
			if compression == domain.CompressionNone && level > 0 {
				continue
			}
			for name, data := range inputs {
				for _, recipients := range [][]age.Recipient{nil, {id.Recipient()}} {
					store := newMemory()
					opts := options(store, recipients...)
					opts.Compression, opts.Level = compression, level
					backup(t, opts, data)
					got, err := restore(t, store, "main", id)
					require.NoError(t, err, "%s, %s level %d", name, compression, level)
					require.True(t, bytes.Equal(data, got), "%s, %s level %d", name, compression, level)
				}
			}
		}
	}
}

func TestEveryRecipientCanRead(t *testing.T) {
	first, second := identity(t), identity(t)
	store, data := newMemory(), dumpText(1, 50_000)
	backup(t, options(store, first.Recipient(), second.Recipient()), data)
	for _, id := range []age.Identity{first, second} {
		got, err := restore(t, store, "main", id)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
	}
}

func TestTheWrongIdentityIsTold(t *testing.T) {
	store := newMemory()
	backup(t, options(store, identity(t).Recipient()), dumpText(1, 50_000))
	for name, identities := range map[string][]age.Identity{"another identity": {identity(t)}, "none": nil} {
		_, err := restore(t, store, "main", identities...)
		require.Equal(t, failure.AuthFailed, failure.ClassOf(err), name)
		require.Contains(t, failure.Message(err), "Give the age identity", name)
	}
}

func TestSeveralStreamsShareChunks(t *testing.T) {
	ctx, store, data := context.Background(), newMemory(), dumpText(1, 100_000)
	w, err := NewWriter(ctx, options(store))
	require.NoError(t, err)
	for _, name := range []string{"first", "second"} {
		require.NoError(t, w.WriteStream(ctx, StreamMeta{Name: name, Format: "text", Properties: map[string]string{"encoding": "UTF8"}}, bytes.NewReader(data)))
	}
	require.ErrorContains(t, w.WriteStream(ctx, StreamMeta{Name: "first", Format: "text"}, bytes.NewReader(data)), "written already")
	result, err := w.Commit(ctx, testHeader(), testManifestKey())
	require.NoError(t, err)
	require.Equal(t, result.Manifest.Streams[0].Chunks, result.Manifest.Streams[1].Chunks)
	require.Equal(t, int64(len(result.Manifest.Objects)), w.Counters().Skipped)
	require.Equal(t, 2*w.Counters().Skipped, w.Counters().Chunks)
	require.Equal(t, int64(200_000), w.Counters().Bytes)
	require.Equal(t, result.Manifest.StoredBytes(), w.Counters().Stored)
	got, err := restore(t, store, "second")
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
}

func TestStreamsAreWrittenAtTheSameTime(t *testing.T) {
	noLeaks(t)
	ctx, store, id := context.Background(), newMemory(), identity(t)
	w, err := NewWriter(ctx, options(store, id.Recipient()))
	require.NoError(t, err)
	var running sync.WaitGroup
	inputs, held := map[string][]byte{}, map[string]*io.PipeWriter{}
	for i := range 8 {
		name := "stream " + string(rune('a'+i))
		inputs[name] = append(dumpText(uint64(i), 60_000), dumpText(99, 40_000)...) // the second half is shared
		r, feed := io.Pipe()
		held[name] = feed
		running.Go(func() {
			require.NoError(t, w.WriteStream(ctx, StreamMeta{Name: name, Format: "text"}, r))
		})
	}
	// No stream ends before all have begun: were they to take turns, this would never return.
	for name, feed := range held {
		_, err := feed.Write(inputs[name][:50_000])
		require.NoError(t, err)
	}
	_, err = w.Commit(ctx, testHeader(), testManifestKey())
	require.ErrorContains(t, err, "8 streams are still being written")
	for name, feed := range held {
		_, err := feed.Write(inputs[name][50_000:])
		require.NoError(t, err)
		require.NoError(t, feed.Close())
	}
	running.Wait()
	result, err := w.Commit(ctx, testHeader(), testManifestKey())
	require.NoError(t, err)
	require.Less(t, result.Manifest.StoredBytes(), result.Manifest.PlainBytes())
	require.Positive(t, w.Counters().Skipped, "the streams share chunks")
	for name, data := range inputs {
		got, err := restore(t, store, name, id)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got), name)
	}
}

func TestEqualChunksInFlightAreUploadedOnce(t *testing.T) {
	store := faulty.New(newMemory())
	opts := options(store)
	opts.Workers, opts.Uploads = 8, 8
	result, w := backup(t, opts, make([]byte, 2*mib)) // zeros: every chunk is the longest one
	require.LessOrEqual(t, len(result.Manifest.Objects), 2)
	// The repository document and the manifest are puts too.
	require.Equal(t, len(result.Manifest.Objects)+2, store.Calls(faulty.Put))
	require.Equal(t, w.Counters().Chunks-int64(len(result.Manifest.Objects)), w.Counters().Skipped)
}

func TestAResumedBackupUploadsNothingTwice(t *testing.T) {
	data := dumpText(1, 400_000)
	store := faulty.New(newMemory())
	known := map[ChunkID]StoredChunk{}
	opts := options(store, identity(t).Recipient())
	opts.OnStored = func(_ context.Context, batch []StoredChunk) error {
		for _, c := range batch {
			require.NotContains(t, known, c.ID, "a chunk was reported twice")
			known[c.ID] = c
		}
		return nil
	}
	first, _ := backup(t, opts, data)
	require.Len(t, known, len(first.Manifest.Objects), "Commit reports the rest")

	// Of the lost attempt's chunks one is gone and one was cut off: both are stored again.
	gone, cut := first.Manifest.ObjectKey(3), first.Manifest.ObjectKey(5)
	require.NoError(t, store.Delete(context.Background(), gone))
	require.NoError(t, store.Put(context.Background(), cut, strings.NewReader("short"), 5))
	puts := store.Calls(faulty.Put)
	opts.Known, opts.OnStored = confirmed(t, store, slices.Collect(maps.Values(known)), domain.CompressionZstd, true), nil
	second, w := backup(t, opts, data)
	require.Equal(t, 2+1, store.Calls(faulty.Put)-puts, "two chunks and the manifest")
	require.Equal(t, w.Counters().Chunks-2, w.Counters().Skipped)
	require.Len(t, second.Manifest.Objects, len(first.Manifest.Objects))
	_, _, err := CheckBytes(context.Background(), store, second.Manifest, nil)
	require.NoError(t, err)
}

func TestAnAttemptThatWasGivenUpCanNotChangeWhatALaterOneStored(t *testing.T) {
	data := dumpText(1, 400_000)
	store, id := newMemory(), identity(t)
	early, late := options(store, id.Recipient()), options(store, id.Recipient())
	early.Folder, late.Folder = FolderOf("aabbccdd", testExecution, 1), FolderOf("aabbccdd", testExecution, 2)
	committed, _ := backup(t, late, data)
	require.Equal(t, "aabbccdd-2", committed.Manifest.Folder(0))

	w, err := NewWriter(context.Background(), early)
	require.NoError(t, err)
	require.NoError(t, w.WriteStream(context.Background(), StreamMeta{Name: "main", Format: "text"}, bytes.NewReader(data)))

	_, _, err = CheckBytes(context.Background(), store, committed.Manifest, nil)
	require.NoError(t, err)
	read, err := restore(t, store, "main", id)
	require.NoError(t, err)
	require.Equal(t, data, read)
}

func TestChunksAreReportedOnlyAfterSync(t *testing.T) {
	store := faulty.New(newMemory())
	opts := options(store)
	var synced int
	opts.OnStored = func(_ context.Context, batch []StoredChunk) error {
		require.Greater(t, store.Calls(faulty.Sync), synced)
		synced = store.Calls(faulty.Sync)
		return nil
	}
	backup(t, opts, dumpText(1, 100_000))
	require.NotZero(t, synced)
}

func TestAFailureStopsTheBackup(t *testing.T) {
	broken := errors.New("the dump tool died")
	cases := map[string]struct {
		fault   *faulty.Fault
		reader  func(data []byte) io.Reader
		report  error
		class   failure.Class
		message string
	}{
		"the storage is full after 20 objects": {fault: &faulty.Fault{Op: faulty.Put, From: 20, Err: storage.FullError("put", "x", "scripted")},
			class: failure.StorageFull, message: "storage is full"},
		"the storage is unreachable": {fault: &faulty.Fault{Op: faulty.Put, From: 5, Err: failure.New(failure.Unreachable, "put", "no route", "")},
			class: failure.Unreachable, message: "no route"},
		"the reader fails": {reader: func(data []byte) io.Reader {
			return io.MultiReader(bytes.NewReader(data[:50_000]), iotest.ErrReader(broken))
		}, class: failure.Unknown, message: "the dump tool died"},
		"the record fails": {report: errors.New("no database"), class: failure.Unknown, message: "no database"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			store := faulty.New(newMemory())
			opts := options(store)
			if c.report != nil {
				opts.OnStored = func(context.Context, []StoredChunk) error { return c.report }
			}
			data := dumpText(1, 400_000)
			var reader io.Reader = bytes.NewReader(data)
			if c.reader != nil {
				reader = c.reader(data)
			}
			w, err := NewWriter(context.Background(), opts)
			require.NoError(t, err)
			if c.fault != nil {
				store.Inject(*c.fault)
			}
			err = w.WriteStream(context.Background(), StreamMeta{Name: "main", Format: "text"}, reader)
			_, commitErr := w.Commit(context.Background(), testHeader(), testManifestKey())
			require.Error(t, commitErr, "a failed backup must not be committed")
			if err == nil {
				err = commitErr
			}
			require.Equal(t, c.class, failure.ClassOf(err))
			require.ErrorContains(t, err, c.message)
			_, err = store.Stat(context.Background(), testManifestKey())
			require.ErrorIs(t, err, storage.ErrNotFound)
		})
	}
}

// endless is a stream that never ends, until its context does.
type endless struct{ ctx context.Context }

func (e endless) Read(p []byte) (int, error) { return len(p), e.ctx.Err() }

func TestCancellingStopsEveryStage(t *testing.T) {
	stages := map[string]func(store *faulty.Store, release chan struct{}){
		"while reading":   func(*faulty.Store, chan struct{}) {},
		"while uploading": func(s *faulty.Store, r chan struct{}) { s.Inject(faulty.Fault{Op: faulty.Put, From: 3, Block: r}) },
	}
	for name, inject := range stages {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			store := faulty.New(newMemory())
			w, err := NewWriter(context.Background(), options(store))
			require.NoError(t, err)
			inject(store, make(chan struct{}))
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- w.WriteStream(ctx, StreamMeta{Name: "main", Format: "text"}, endless{ctx}) }()
			require.Eventually(t, func() bool { return w.Counters().Chunks > 3 }, 5*time.Second, time.Millisecond)
			cancel()
			err = <-done
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, failure.Cancelled, failure.ClassOf(err))
		})
	}
}

func TestReadingCanBeCancelledAndAbandoned(t *testing.T) {
	noLeaks(t)
	store := newMemory()
	result, _ := backup(t, options(store), dumpText(1, 400_000))
	r, err := NewReader(store, result.Manifest, nil, ReaderOptions{Prefetch: 3})
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	cancelled, err := r.OpenStream(ctx, "main")
	require.NoError(t, err)
	_, err = io.ReadFull(cancelled, make([]byte, 10_000))
	require.NoError(t, err)
	cancel()
	_, err = io.Copy(io.Discard, cancelled)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, cancelled.Close())

	abandoned, err := r.OpenStream(context.Background(), "main")
	require.NoError(t, err)
	require.NoError(t, abandoned.Close())
	require.NoError(t, abandoned.Close(), "closing twice is no error")
	_, err = abandoned.Read(make([]byte, 1))
	require.Error(t, err)
	_, err = r.OpenStream(context.Background(), "other")
	require.Equal(t, failure.NotFound, failure.ClassOf(err))
}

func TestMemoryInFlightIsBounded(t *testing.T) {
	// Uploads that hang make the pipeline fill up: what was read then is what is in memory.
	release := make(chan struct{})
	store := faulty.New(memory.New(0))
	params := ParamsFor(2 * tib)
	opts := options(store)
	opts.Params, opts.Compression = params, domain.CompressionNone
	w, err := NewWriter(context.Background(), opts)
	require.NoError(t, err)
	store.Inject(faulty.Fault{Op: faulty.Put, Block: release})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.WriteStream(ctx, StreamMeta{Name: "main", Format: "x"}, endless{ctx}) })
	require.Eventually(t, func() bool { return store.Calls(faulty.Put) > 1 }, 20*time.Second, time.Millisecond)
	read := w.Counters().Bytes
	cancel()
	running.Wait()
	require.LessOrEqual(t, read, int64(inFlight(params)+ringSize(params)))
	require.LessOrEqual(t, inFlight(params)+ringSize(params), 124*mib, "the arithmetic at inFlight no longer holds")
}
