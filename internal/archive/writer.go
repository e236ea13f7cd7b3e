package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// WriterOptions say where and how a backup is written.
type WriterOptions struct {
	Store         storage.Store
	DatasourceDir string   // of DatasourceDir
	Generation    string   // of the full backup that opened it: its execution's id8
	Folder        string   // of chunks/ to store into, see FolderOf; "" is the generation's own
	Secret        [32]byte // the generation's secret; the same for every attempt
	Params        Params
	Compression   domain.Compression
	Level         int             // 0 is the fastest; see domain.BackupOptions
	Recipients    []age.Recipient // empty: objects are not encrypted
	Parent        string          // execution id of the backup this one builds on, "" for a full one

	// Known are chunks of this generation that need not be stored again: those of the backup that
	// this one builds on, and of lost attempts. It is read only. May be nil.
	Known *KnownChunks

	// OnStored is told of new chunks in batches, after Sync made them durable; never twice of the
	// same chunk and never from two goroutines at once. An error fails the backup. May be nil.
	OnStored func(ctx context.Context, batch []StoredChunk) error
	// ReportEvery is how long stored chunks wait at most before OnStored is told, while others are
	// stored; 0 is DefaultReportEvery.
	ReportEvery time.Duration

	Workers int // goroutines that hash, compress and encrypt; 0 is GOMAXPROCS
	Uploads int // objects uploaded at the same time to begin with; 0 is 4. See uploads
}

// Counters say how far a Writer is.
type Counters struct {
	Bytes   int64 // plain bytes of the streams so far, those that were not read again included
	Chunks  int64 // chunks they were cut into
	Skipped int64 // of those, how many were stored already
	Stored  int64 // bytes of the objects written
}

// Writer writes one backup: WriteStream for each stream, then Commit. Nothing exists for a reader
// before Commit returned. A Writer holds no goroutine and no memory between calls, so one that is
// not wanted any more is just dropped. After an error every further call fails with it.
type Writer struct {
	opts WriterOptions
	keys keys

	counters struct{ bytes, chunks, skipped, stored atomic.Int64 }

	flush   sync.Mutex // held while a batch is made durable and reported
	sealers sync.Pool  // *sealer
	crewing sync.Mutex // held while the crew is started or ended
	crew    *crew      // nil while no stream is written

	mu       sync.Mutex
	failed   error
	done     bool
	index    map[ChunkID]uint32 // into objects
	objects  []StoredChunk
	names    map[string]bool
	streams  []Stream      // in the order in which they were begun
	writing  int           // streams that are being written
	pending  []StoredChunk // stored, not yet reported
	unsent   int64         // bytes of these
	reported time.Time     // when the last batch was taken
}

// NewWriter checks the options and that the store is a repository, making it one if it is empty.
func NewWriter(ctx context.Context, opts WriterOptions) (*Writer, error) {
	const op = "start backup"
	if err := checkOptions(&opts); err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, op, err, "")
	}
	if _, err := EnsureRepository(ctx, opts.Store); err != nil {
		return nil, wrap(op, err)
	}
	w := &Writer{opts: opts, keys: deriveKeys(opts.Secret), index: map[ChunkID]uint32{}, names: map[string]bool{}, reported: time.Now()}
	return w, nil
}

func checkOptions(opts *WriterOptions) error {
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	if opts.Uploads <= 0 {
		opts.Uploads = 4
	}
	if opts.ReportEvery <= 0 {
		opts.ReportEvery = DefaultReportEvery
	}
	if opts.Folder == "" {
		opts.Folder = opts.Generation
	}
	switch {
	case opts.Store == nil:
		return errors.New("no store is given")
	case !elementShape.MatchString(opts.DatasourceDir):
		return fmt.Errorf("datasource directory %q is not one of DatasourceDir", opts.DatasourceDir)
	case !generationName.MatchString(opts.Generation):
		return fmt.Errorf("generation %q is not letters, digits and dashes", opts.Generation)
	case !generationName.MatchString(opts.Folder):
		return fmt.Errorf("folder %q is not letters, digits and dashes", opts.Folder)
	case opts.Secret == [32]byte{}:
		return errors.New("the chunk secret is empty")
	}
	if _, err := newCompressor(opts.Compression, opts.Level, opts.Params.Max); err != nil {
		return err
	}
	return opts.Params.check()
}

// Counters may be called at any time, also while streams are written.
func (w *Writer) Counters() Counters {
	return Counters{
		Bytes: w.counters.bytes.Load(), Chunks: w.counters.chunks.Load(),
		Skipped: w.counters.skipped.Load(), Stored: w.counters.stored.Load(),
	}
}

// WriteStream stores r to its end under the stream's name. Calls from several goroutines progress
// at the same time and share the Writer's workers, uploads and memory, but for some MiB each. A chunk
// that two of them have in common may still be on its way when one returns; Commit waits for all. The
// first error of a call cancels its stages and fails every later call, and the reader's errors come
// back as they are. When the context ends, or an upload fails, WriteStream returns as soon as a Read
// that is in progress does: r should end with the context too, as a pipe from a process that is
// killed does. The properties may be added to by r, up to the Read that returns io.EOF. A Segmented r
// is taken segment by segment.
func (w *Writer) WriteStream(ctx context.Context, meta StreamMeta, r io.Reader) error {
	position, err := w.start(meta)
	if err != nil {
		return failure.Wrap(failure.ConfigInvalid, "write stream", err, "")
	}
	defer w.stopped()
	// Before the data, which may take hours: what can not be sealed can not be committed.
	if _, err := encodeProperties(meta.Properties, w.opts.Recipients); err != nil {
		return w.fail(failure.Wrap(failure.ConfigInvalid, "write stream", err, ""))
	}
	stream, err := w.runPipeline(ctx, meta, r)
	if err != nil {
		return w.fail(err)
	}
	// Only now, because what writes the stream may have added to them what only its data told.
	if stream.sealed, err = sealProperties(meta.Properties, w.opts.Recipients); err != nil {
		return w.fail(failure.Wrap(failure.ConfigInvalid, "write stream", err, ""))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.streams[position] = stream
	return nil
}

// start refuses a stream that could not be committed, and keeps a place for it.
func (w *Writer) start(meta StreamMeta) (position int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return 0, err
	}
	if w.names[meta.Name] {
		return 0, fmt.Errorf("stream %q is written already", meta.Name)
	}
	if err := meta.check(); err != nil {
		return 0, err
	}
	w.names[meta.Name] = true
	w.streams = append(w.streams, Stream{StreamMeta: meta})
	w.writing++
	return len(w.streams) - 1, nil
}

func (w *Writer) stopped() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing--
}

// usable refuses work after an error or a commit. The caller holds mu.
func (w *Writer) usable() error {
	if w.failed != nil {
		return wrap("go on after an error", w.failed)
	}
	if w.done {
		return errors.New("the backup is committed already")
	}
	return nil
}

// fail makes every later call fail with err.
func (w *Writer) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		w.failed = err
	}
	return err
}

// claim makes the caller the one that stores the chunk, unless it is stored or on its way: two
// equal chunks in flight are uploaded once.
func (w *Writer) claim(id ChunkID, plainBytes int) (index uint32, mine bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if index, known := w.index[id]; known {
		return index, false
	}
	index = uint32(len(w.objects))
	w.index[id] = index
	w.objects = append(w.objects, StoredChunk{ID: id, PlainBytes: int64(plainBytes)})
	return index, true
}

// settle records what became of a claimed chunk. A new one is reported later.
func (w *Writer) settle(index uint32, chunk StoredChunk, isNew bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.objects[index] = chunk
	if isNew {
		w.pending = append(w.pending, chunk)
	}
}

// report makes what is stored durable and tells OnStored. The batch is taken before Sync, so that
// it holds only chunks whose Put returned before.
func (w *Writer) report(ctx context.Context) error {
	w.flush.Lock()
	defer w.flush.Unlock()
	w.mu.Lock()
	batch := w.pending
	w.pending, w.unsent, w.reported = nil, 0, time.Now()
	w.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	if err := w.opts.Store.Sync(ctx); err != nil {
		return wrap("make chunks durable", err)
	}
	if w.opts.OnStored == nil {
		return nil
	}
	return w.opts.OnStored(ctx, batch)
}

// A batch is reported when so many bytes were stored, or after WriterOptions.ReportEvery.
const reportBytes = 64 * mib

// DefaultReportEvery is short: what is still to be made durable when the dump ends is what its client waits for.
const DefaultReportEvery = 500 * time.Millisecond

// reportIfDue reports when there is enough to report since the last time.
func (w *Writer) reportIfDue(ctx context.Context, stored int64) error {
	w.mu.Lock()
	w.unsent += stored
	due := w.unsent >= reportBytes || time.Since(w.reported) >= w.opts.ReportEvery
	if due {
		w.unsent, w.reported = 0, time.Now() // only this goroutine reports
	}
	w.mu.Unlock()
	if !due {
		return nil
	}
	return w.report(ctx)
}
