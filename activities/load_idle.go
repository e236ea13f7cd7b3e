package activities

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/idle"
)

// loadGrace is how long a load that moves nothing has to end its tools and to clean up.
const loadGrace = 2 * time.Minute

// loadWatch ends the load of a backup that takes no byte for too long, whatever the engine. Its clock runs
// while a stream is open that has not been read to its end: what a server does with all of the data, making
// indexes, may take hours and moves nothing that could be seen.
type loadWatch struct {
	watch *idle.Watch

	mu   sync.Mutex
	open int // streams that are not at their end
}

// whileLoading calls load, whose streams are to be opened through reader; limit 0 is no limit.
func whileLoading(ctx context.Context, limit time.Duration, target string, load func(ctx context.Context, reader func(engine.Opener) engine.Opener) error) error {
	ctx, watch := idle.Start(ctx, limit, "load the backup into "+target,
		"Look at what the target waits for (a lock, a full disk, a mount that hangs) and whether the storage location answers; idle_timeout_minutes of the restore may be raised.")
	defer watch.Stop()
	watch.Pause()
	w := &loadWatch{watch: watch}
	return idle.Run(ctx, loadGrace, func() error { return load(ctx, w.through) })
}

// through follows what is read of the streams that open opens.
func (w *loadWatch) through(open engine.Opener) engine.Opener {
	return func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
		stream, err := open(ctx, name, offset)
		if err != nil {
			return nil, err
		}
		w.count(1)
		return &watchedStream{ReadCloser: stream, watch: w}, nil
	}
}

// count counts streams in and out; the clock stands still while there is none.
func (w *loadWatch) count(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open += n
	if w.open > 0 {
		w.watch.Moved()
	} else {
		w.watch.Pause()
	}
}

// moved starts the clock anew, unless the last stream has ended meanwhile.
func (w *loadWatch) moved() { w.count(0) }

type watchedStream struct {
	io.ReadCloser
	watch *loadWatch
	once  sync.Once
}

func (s *watchedStream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if n > 0 {
		s.watch.moved()
	}
	if errors.Is(err, io.EOF) {
		s.ended()
	}
	return n, err
}

func (s *watchedStream) ended() { s.once.Do(func() { s.watch.count(-1) }) }

// Close lets go of the stream.
func (s *watchedStream) Close() error {
	s.ended()
	return s.ReadCloser.Close()
}
