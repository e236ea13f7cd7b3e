package process

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// A tool that writes a few kilobytes at a time (pg_dump does) would wake its reader for each of
// them, which costs more than hashing and compressing what it writes. So the reading end stays out
// of the runtime's poller, which the kernel would notify at every write, and after a read of less
// than fewBytes the reader lets the pipe fill for gatherTime, or for as long as the tool's pace takes.
// At pipeBytes a millisecond the tool does not have to wait for it.
const (
	fewBytes   = 128 << 10
	gatherTime = time.Millisecond
	// pollTimeout is how long an interrupted reader may still wait in poll(2), in milliseconds.
	pollTimeout = 50
)

// errInterrupted is what a Read returns after interrupt.
var errInterrupted = errors.New("the wait for output was interrupted")

// pipeReader is the reading end of a child's output. It is for one goroutine; interrupt and Close
// may come from others.
type pipeReader struct {
	file        *os.File // non-blocking, unknown to the poller
	few         bool     // the last Read found little
	pace        *pace    // of the tool that writes, nil if it has none
	interrupted atomic.Bool
}

// newOutputPipe makes the pipe for a child's output.
func newOutputPipe() (*pipeReader, *os.File, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, failure.Wrap(failure.Unknown, "make a pipe", err, "Raise the limit of open files.")
	}
	// os.NewFile leaves a descriptor to the poller if it is non-blocking already.
	read, write := os.NewFile(uintptr(ends[0]), "|0"), os.NewFile(uintptr(ends[1]), "|1")
	if err := unix.SetNonblock(ends[0], true); err != nil {
		_, _ = read.Close(), write.Close()
		return nil, nil, failure.Wrap(failure.Unknown, "make a pipe", err, "")
	}
	widen(write)
	return &pipeReader{file: read}, write, nil
}

// Read waits for output. Errors: io.EOF, errInterrupted.
func (p *pipeReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	switch {
	case p.pace != nil && p.few:
		p.pace.hold(p.size)
	case p.pace != nil:
		p.pace.steady(p.size)
	case p.few:
		time.Sleep(gatherTime)
	}
	for !p.interrupted.Load() {
		n, err := p.file.Read(b)
		if !errors.Is(err, unix.EAGAIN) {
			p.few = n < min(fewBytes, len(b)) && !errors.Is(err, io.EOF)
			if p.pace != nil {
				p.pace.took(n)
			}
			return n, err
		}
		if err := p.wait(); err != nil {
			return 0, err
		}
	}
	return 0, errInterrupted
}

// size is how many bytes a Read would find at most.
func (p *pipeReader) size() int {
	size := 0
	_ = control(p.file, func(fd int) { size, _ = unix.IoctlGetInt(fd, unix.TIOCINQ) })
	return size
}

// wait returns when there is something to read, or after pollTimeout.
func (p *pipeReader) wait() error {
	var pollErr error
	err := control(p.file, func(fd int) {
		_, pollErr = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, pollTimeout)
	})
	if errors.Is(pollErr, unix.EINTR) {
		pollErr = nil
	}
	return errors.Join(err, pollErr)
}

// interrupt makes a Read that waits, and every later one, return errInterrupted.
func (p *pipeReader) interrupt() { p.interrupted.Store(true) }

// Close frees the descriptor.
func (p *pipeReader) Close() error { return p.file.Close() }
