package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"
)

// measurement is one run of one contestant.
type measurement struct {
	Wall    time.Duration // as whoever asked for the backup sees it
	Running time.Duration // DataGuardian only: from started_at to finished_at of the execution
	CPU     time.Duration // user and system time of the client side; the database server's is not in it
	PeakRSS int64         // bytes
	Stored  int64         // bytes that are left on the disk
}

// pipeline is a chain of programs, each reading what the one before it writes. Environment is added
// to that of every program: the password travels there, not on a command line.
type pipeline struct {
	commands    [][]string
	environment []string
}

// dumpOnly is the floor: pg_dump alone, nothing kept.
func dumpOnly(tools tools, database databaseAddress) pipeline {
	return pipeline{commands: [][]string{tools.dump(database)}, environment: database.environment()}
}

// shellPipeline is what a careful administrator would put into cron.
func shellPipeline(tools tools, database databaseAddress, recipient string) pipeline {
	return pipeline{
		commands:    [][]string{tools.dump(database), {tools.zstd, "-q", "-3", "-T2", "-c"}, {tools.age, "-r", recipient}},
		environment: database.environment(),
	}
}

// run runs the pipeline with its last output going into the file at path, which is on the disk when
// run returns: without the fsync the pipeline would be faster, and its backup could be lost.
func (p pipeline) run(ctx context.Context, path string) (m measurement, err error) {
	out, err := os.Create(path)
	if err != nil {
		return m, fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = out.Close() }()

	began := time.Now()
	started, err := p.start(ctx, out)
	if err != nil {
		return m, err
	}
	for _, cmd := range started {
		if waitErr := cmd.Wait(); waitErr != nil {
			// All of them are told: a program that dies of a broken pipe is not the one to blame.
			told := strings.TrimSpace(cmd.Stderr.(*strings.Builder).String())
			err = errors.Join(err, fmt.Errorf("bench: %s: %w: %s", cmd.Path, waitErr, told))
		}
		m.CPU += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		m.PeakRSS += peakOf(cmd.ProcessState)
	}
	if err != nil {
		return m, err
	}
	if path != os.DevNull {
		if err := out.Sync(); err != nil {
			return m, fmt.Errorf("bench: %w", err)
		}
	}
	m.Wall = time.Since(began)
	if info, err := out.Stat(); err == nil {
		m.Stored = info.Size()
	}
	return m, nil
}

// start starts the programs with real pipes between them, as a shell does. When one can not be
// started, those before it end by themselves: the pipe they write to has no reader.
func (p pipeline) start(ctx context.Context, out *os.File) (started []*exec.Cmd, err error) {
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
	for i, command := range p.commands {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Env = append(os.Environ(), p.environment...)
		cmd.Stderr = &strings.Builder{}
		if input != nil {
			cmd.Stdin = input
		}
		var next, output *os.File
		if i == len(p.commands)-1 {
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

// peakOf is the largest resident size of an ended process, in bytes.
func peakOf(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return usage.Maxrss * 1024 // Linux counts in KiB
}

// tools are the programs of the comparison.
type tools struct{ pgDump, pgBench, zstd, age string }

func findTools(binDir string) (tools, error) {
	found := tools{pgDump: binDir + "/pg_dump", pgBench: binDir + "/pgbench"}
	for name, path := range map[string]*string{"zstd": &found.zstd, "age": &found.age} {
		var err error
		if *path, err = exec.LookPath(name); err != nil {
			return tools{}, fmt.Errorf("bench: %w; install it (make deps does)", err)
		}
	}
	for _, path := range []string{found.pgDump, found.pgBench} {
		if err := unix.Access(path, unix.X_OK); err != nil {
			return tools{}, fmt.Errorf("bench: %s: %w; install the PostgreSQL client tools (make deps does)", path, err)
		}
	}
	return found, nil
}

func (t tools) dump(database databaseAddress) []string {
	return append([]string{t.pgDump, "-Fc", "-Z0", "--no-password"}, database.arguments()...)
}

// newRecipient makes a key that is thrown away: nothing here is ever decrypted.
func newRecipient() (string, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return "", fmt.Errorf("bench: make an age key: %w", err)
	}
	return identity.Recipient().String(), nil
}
