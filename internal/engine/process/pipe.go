package process

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// pipeBytes is the size asked for pipes to and from a child; the kernel's default of 64 KiB makes
// both sides switch too often.
const pipeBytes = 1 << 20

// errConsumerDone ends a child whose output nobody wants any more.
var errConsumerDone = errors.New("its output is no longer read")

// pastDeadline makes a blocked Read or Write of a pipe return at once.
var pastDeadline = time.Unix(1, 0)

// Pull runs c and hands its standard output to consume. The reader ends with io.EOF only after the
// child exited with status 0: a child that fails makes the last Read fail, so a consumer never
// takes half an output for a whole one. Pull returns after the child's group is gone. The error is
// the child's if it failed, else consume's; consume may return before the end only with an error
// of its own, or the rest of the output is an error.
func Pull(ctx context.Context, c Command, consume func(ctx context.Context, r io.Reader) error) (stderr string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	read, write, err := newOutputPipe()
	if err != nil {
		return "", err
	}
	defer read.Close()
	if c.Meter == nil {
		c.Meter = &Meter{}
	}
	c.Stdout = write
	p, err := Start(ctx, c)
	write.Close()
	if err != nil {
		return "", err
	}
	if c.Pause > 0 {
		if read.pace = newPace(p, c.Pause); read.pace != nil {
			defer read.pace.close()
		}
	}
	out := &output{ctx: ctx, pipe: read, meter: c.Meter, process: p}
	// A consumer blocked in Read wakes up only when every holder of the pipe is gone; a process
	// that escaped from the group must not hold it for longer than we want the output.
	go func() {
		if p.Wait() == nil {
			<-ctx.Done()
		}
		read.interrupt()
	}()
	consumeErr := consume(ctx, out)
	if consumeErr != nil || !out.ended {
		cancel(errConsumerDone)
	}
	childErr := p.Wait()
	switch {
	case childErr != nil && !errors.Is(childErr, errConsumerDone):
		return p.Stderr(), childErr
	case consumeErr != nil:
		return p.Stderr(), consumeErr
	case !out.ended: // also a child that had written it all and gone
		return p.Stderr(), failure.New(failure.Unknown, p.program, "its output was not read to the end", "")
	}
	return p.Stderr(), nil
}

// output is the reading end of a child's standard output.
type output struct {
	ctx     context.Context //nolint:containedctx // lives as long as one call of Pull
	pipe    *pipeReader
	meter   *Meter
	process *Process
	ended   bool
}

func (o *output) Read(b []byte) (int, error) {
	if o.ended {
		return 0, io.EOF
	}
	n, err := o.pipe.Read(b)
	o.meter.Add(n)
	if err == nil || (n > 0 && errors.Is(err, io.EOF)) {
		return n, nil
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, errInterrupted) {
		return n, err
	}
	if childErr := o.process.Wait(); childErr != nil {
		return n, childErr
	}
	if !errors.Is(err, io.EOF) {
		return n, context.Cause(o.ctx)
	}
	o.ended = true
	return n, io.EOF
}

// Push runs c and copies src to its standard input. A src that fails ends the child and is the
// error returned, whatever the child made of it. A child that exits with status 0 without reading
// everything is fine: src is then read to its end all the same, because its last bytes may be the
// ones that tell it was damaged. Push returns after the child's group is gone.
func Push(ctx context.Context, c Command, src io.Reader) (stderr string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	read, write, err := newPipe()
	if err != nil {
		return "", err
	}
	defer write.Close()
	if c.Meter == nil {
		c.Meter = &Meter{}
	}
	c.Stdin = read
	p, err := Start(ctx, c)
	read.Close()
	if err != nil {
		return "", err
	}
	go func() { // frees a Write that waits for a reader outside the group
		_ = p.Wait()
		_ = write.SetWriteDeadline(pastDeadline)
	}()
	from := &source{r: src, meter: c.Meter}
	_, copyErr := io.CopyBuffer(struct{ io.Writer }{write}, from, make([]byte, 256<<10))
	write.Close()
	if from.err != nil {
		cancel(from.err)
		_ = p.Wait()
		return p.Stderr(), from.err
	}
	if childErr := p.Wait(); childErr != nil {
		return p.Stderr(), childErr
	}
	if copyErr != nil {
		if !errors.Is(copyErr, unix.EPIPE) && !errors.Is(copyErr, os.ErrDeadlineExceeded) {
			return p.Stderr(), failure.Wrap(failure.Unknown, "write to "+p.program, copyErr, "")
		}
		if err := from.drain(); err != nil {
			return p.Stderr(), err
		}
	}
	return p.Stderr(), nil
}

// source remembers whether it was the reading side that failed.
type source struct {
	r     io.Reader
	meter *Meter
	err   error
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.meter.Add(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// drain reads what is left, without a copy where the source can show what it has.
func (s *source) drain() error {
	to, shows := s.r.(io.WriterTo)
	if !shows {
		_, err := io.Copy(io.Discard, s)
		return err
	}
	_, err := to.WriteTo(metered{s.meter})
	return err
}

// metered takes everything and keeps nothing.
type metered struct{ *Meter }

func (m metered) Write(p []byte) (int, error) {
	m.Add(len(p))
	return len(p), nil
}

func newPipe() (read, write *os.File, err error) {
	read, write, err = os.Pipe()
	if err != nil {
		return nil, nil, failure.Wrap(failure.Unknown, "make a pipe", err, "Raise the limit of open files.")
	}
	widen(write)
	return read, write, nil
}

// widen gives a pipe more room. A kernel that refuses leaves it as it was.
func widen(end *os.File) {
	_ = control(end, func(fd int) { _, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, pipeBytes) })
}

// control hands an end's descriptor over for one call. Unlike Fd, it leaves the end as it is, and the end is not closed meanwhile.
func control(end *os.File, call func(fd int)) error {
	raw, err := end.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { call(int(fd)) })
}
