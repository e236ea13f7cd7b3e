package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// feed is a file of a directory-format dump that is no file: a named pipe, which is filled when
// pg_restore opens it.
type feed struct {
	id   int // dump id
	file string
	open func(ctx context.Context) (io.ReadCloser, error)
}

// feeder serves the pipes of one run of pg_restore, which opens each once, as many at a time as it
// has jobs.
type feeder struct {
	dir     string
	waiting []feed // in the order in which they are expected

	mu      sync.Mutex
	failed  error // the first source that failed
	broken  error // the first pipe that pg_restore closed too early
	files   []*os.File
	running sync.WaitGroup
}

const (
	// A pipe that waits for its writer is nobody's event, so pipes are tried: the next few often,
	// which costs some microseconds, and all of them now and then.
	tryEvery  = 2 * time.Millisecond
	tryNext   = 24
	tryAll    = 100 // times tryEvery
	fifoBytes = 1 << 20
	feedBytes = 256 << 10
)

// makeFIFOs makes the pipes.
func (f *feeder) makeFIFOs() error {
	for _, feed := range f.waiting {
		if err := unix.Mkfifo(filepath.Join(f.dir, feed.file), 0o600); err != nil {
			return tempFailure(err)
		}
	}
	return nil
}

// run starts the command and serves it. When a source fails, the command is ended before its pipe
// is closed: an end would look like the end of the data. The error is the source's, else the
// command's, else that it did not read everything.
func (f *feeder) run(ctx context.Context, c process.Command) (stderr string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p, err := process.Start(ctx, c)
	if err != nil {
		return "", err
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = p.Wait()
	}()
	f.serve(ctx, cancel, exited)
	childErr := p.Wait()
	sourceErr := f.interrupt()
	cancel(errConsumerGone) // a source that is waited for has nobody to give its bytes to any more
	f.running.Wait()
	switch {
	case sourceErr != nil:
		return p.Stderr(), sourceErr
	case childErr != nil:
		return p.Stderr(), childErr
	case len(f.waiting) > 0:
		return p.Stderr(), notRead(f.waiting[0].file, errors.New("it was never opened"))
	case f.failed != nil:
		return p.Stderr(), notRead("the dump", f.failed)
	}
	return p.Stderr(), f.broken
}

var errConsumerGone = errors.New("pg_restore has ended")

func notRead(file string, err error) error {
	return failure.Wrap(failure.Unknown, "load "+file, fmt.Errorf("pg_restore did not read it to its end: %w", err), "")
}

// serve starts a goroutine for each pipe that was opened, until none is left or the command ended.
func (f *feeder) serve(ctx context.Context, cancel context.CancelCauseFunc, exited <-chan struct{}) {
	ticker := time.NewTicker(tryEvery)
	defer ticker.Stop()
	for round := 0; len(f.waiting) > 0; round++ {
		look := min(tryNext, len(f.waiting))
		if round%tryAll == 0 {
			look = len(f.waiting)
		}
		kept := f.waiting[:0]
		for i, feed := range f.waiting {
			if i >= look || !f.start(ctx, cancel, feed) {
				kept = append(kept, feed)
			}
		}
		f.waiting = kept
		select {
		case <-exited:
			return
		case <-ticker.C:
		}
	}
}

// start begins to fill a pipe if somebody has opened it.
func (f *feeder) start(ctx context.Context, cancel context.CancelCauseFunc, feed feed) bool {
	path := filepath.Join(f.dir, feed.file)
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		if !errors.Is(err, unix.ENXIO) && !errors.Is(err, unix.EINTR) {
			f.fail(failure.Wrap(failure.Unknown, "open "+feed.file, err, "Raise the limit of open files."), cancel)
			return true
		}
		return false
	}
	// A kernel that refuses leaves the pipe as it was.
	_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, fifoBytes)
	file := os.NewFile(uintptr(fd), path)
	f.mu.Lock()
	f.files = append(f.files, file)
	f.mu.Unlock()
	f.running.Go(func() { f.fill(ctx, cancel, feed, file) })
	return true
}

// fill copies the source into the pipe and closes it, unless the source fails.
func (f *feeder) fill(ctx context.Context, cancel context.CancelCauseFunc, feed feed, file *os.File) {
	source, err := feed.open(ctx)
	if err != nil {
		f.fail(err, cancel)
		return
	}
	defer source.Close()
	from := &sourceError{r: source}
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, struct{ io.Reader }{from}, make([]byte, feedBytes))
	switch {
	case from.err != nil:
		f.fail(from.err, cancel)
		return
	case err != nil: // pg_restore is gone, or has had enough of it
		f.mu.Lock()
		defer f.mu.Unlock()
		f.broken = errors.Join(f.broken, notRead(feed.file, err))
		return
	}
	_ = file.Close()
}

// fail remembers the first error and ends the command.
func (f *feeder) fail(err error, cancel context.CancelCauseFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		f.failed = err
	}
	cancel(err)
}

// interrupt closes what is still open, after the command has ended, and returns the source's error
// that ended it, if one did.
func (f *feeder) interrupt() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range f.files {
		_ = file.Close()
	}
	return f.failed
}

// sourceError remembers that it was the source that failed.
type sourceError struct {
	r   io.Reader
	err error
}

func (s *sourceError) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
