package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Pipeline is a chain of programs, each reading what the one before it writes. Environment is added
// to that of every program: passwords travel there, not on a command line.
type Pipeline struct {
	Commands    [][]string
	Environment []string
	// Durable is a directory whose file system is flushed before the clock stops, for programs that
	// do not make what they wrote durable themselves. "" flushes nothing but the output.
	Durable string
}

// Run runs the pipeline with its last output going into the file at path, which is on the disk when
// Run returns: without the fsync a pipeline would be faster, and its backup could be lost. Every
// program that fails is told, with what it wrote to its standard error.
func (p Pipeline) Run(ctx context.Context, path string) (r Run, err error) {
	out, err := os.Create(path)
	if err != nil {
		return r, fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = out.Close() }()

	began := time.Now()
	started, err := p.start(ctx, out)
	if err != nil {
		return r, err
	}
	for _, cmd := range started {
		if waitErr := cmd.Wait(); waitErr != nil {
			// All of them are told: a program that dies of a broken pipe is not the one to blame.
			told := strings.TrimSpace(cmd.Stderr.(*strings.Builder).String())
			err = errors.Join(err, fmt.Errorf("bench: %s: %w: %s", cmd.Path, waitErr, lastBytes(told, 2000)))
		}
		r.CPU += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		r.PeakRSS += peakOf(cmd.ProcessState)
	}
	if err != nil {
		return r, err
	}
	if err := p.flush(out, path); err != nil {
		return r, err
	}
	r.Wall = time.Since(began)
	if info, err := out.Stat(); err == nil && info.Mode().IsRegular() {
		r.Stored = info.Size()
	}
	return r, nil
}

func (p Pipeline) flush(out *os.File, path string) error {
	if path != os.DevNull {
		if err := out.Sync(); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	if p.Durable == "" {
		return nil
	}
	return FlushDisk(p.Durable)
}

// start starts the programs with real pipes between them, as a shell does. When one can not be
// started, those before it end by themselves: the pipe they write to has no reader.
func (p Pipeline) start(ctx context.Context, out *os.File) (started []*exec.Cmd, err error) {
	var input *os.File
	defer func() {
		if input != nil {
			_ = input.Close()
		}
		if err != nil {
			for _, cmd := range started {
				_ = cmd.Wait() // the first error is told
			}
		}
	}()
	for i, command := range p.Commands {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Env = append(os.Environ(), p.Environment...)
		cmd.Stderr = &strings.Builder{}
		if input != nil {
			cmd.Stdin = input
		}
		var next, output *os.File
		if i == len(p.Commands)-1 {
			cmd.Stdout = out
		} else {
			if next, output, err = os.Pipe(); err != nil {
				return started, fmt.Errorf("bench: %w", err)
			}
			cmd.Stdout = output
		}
		err = cmd.Start()
		// The children have their own descriptors; ours would keep the pipes open for ever.
		if output != nil {
			_ = output.Close()
		}
		if input != nil {
			_ = input.Close()
		}
		input = next
		if err != nil {
			return started, fmt.Errorf("bench: start %s: %w", command[0], err)
		}
		started = append(started, cmd)
	}
	return started, nil
}

func lastBytes(text string, count int) string { return text[max(0, len(text)-count):] }

// Sequence runs pipelines one after the other, their output going nowhere, and adds them up.
func Sequence(ctx context.Context, pipelines ...Pipeline) (total Run, err error) {
	for _, p := range pipelines {
		r, err := p.Run(ctx, os.DevNull)
		if err != nil {
			return total, err
		}
		total.Wall, total.CPU, total.PeakRSS = total.Wall+r.Wall, total.CPU+r.CPU, max(total.PeakRSS, r.PeakRSS)
	}
	return total, nil
}
