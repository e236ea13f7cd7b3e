package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func (h Harness) probe(t *testing.T) {
	info, err := h.Engine.Probe(Context(t), h.Source)
	require.NoError(t, err)
	require.NotEmpty(t, info.Version)
	require.Positive(t, info.Latency)
	require.Equal(t, h.Source.Type, h.Engine.Type())
	estimate, err := h.Engine.Estimate(Context(t), h.Source)
	require.NoError(t, err)
	require.Positive(t, estimate.Bytes)
}

func (h Harness) connectionErrors(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(engine.Source) engine.Source
		want  failure.Class
	}{
		"a wrong password is AuthFailed":  {h.WrongPassword, failure.AuthFailed},
		"an unknown database is NotFound": {h.MissingDatabase, failure.NotFound},
		"a closed port is Unreachable":    {h.Unreachable, failure.Unreachable},
	} {
		if test.spoil == nil { // see Harness
			continue
		}
		t.Run(name, func(t *testing.T) {
			src := test.spoil(h.Source)
			_, err := h.Engine.Probe(Context(t), src)
			RequireClass(t, test.want, err)
			require.NotEmpty(t, failure.HintOf(err))
			_, _, err = TryDump(t, h.Engine, src, h.Options)
			RequireClass(t, test.want, err)
			if src.Config.Password != "" {
				require.NotContains(t, failure.Message(err), src.Config.Password)
			}
		})
	}
}

func (h Harness) missingTool(t *testing.T) {
	_, _, err := TryDump(t, h.WithTools(t.TempDir()), h.Source, h.Options)
	RequireClass(t, failure.ToolMissing, err)
	require.NotEmpty(t, failure.HintOf(err))
}

func (h Harness) cancelledDump(t *testing.T) {
	t.Run("while it waits", func(t *testing.T) {
		release := h.Hold(t, h.Source)
		defer release()
		ctx, cancel := context.WithCancel(Context(t))
		started := make(chan struct{})
		go func() {
			defer close(started)
			if h.DumpTool != "" {
				AwaitChild(t, h.DumpTool)
			}
			cancel()
		}()
		h.cancelIn(ctx, t, func(io.Reader) error { return nil })
		<-started
	})
	t.Run("in mid-stream", func(t *testing.T) {
		ctx, cancel := context.WithCancel(Context(t))
		h.cancelIn(ctx, t, func(r io.Reader) error {
			_, err := io.ReadFull(r, make([]byte, h.MinBytes/2))
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				return nil // a short stream
			}
			cancel()
			return err
		})
	})
}

// cancelIn dumps until ctx ends, after the sink did something with each stream.
func (h Harness) cancelIn(ctx context.Context, t *testing.T, first func(io.Reader) error) {
	t.Helper()
	_, err := h.Engine.Dump(ctx, h.Source, h.Options, func(ctx context.Context, _ engine.Stream, r io.Reader) error {
		r = Flat(ctx, r, nil)
		if err := first(r); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, r)
		if err == nil { // the child had written everything already
			err = ctx.Err()
		}
		return err
	})
	RequireClass(t, failure.Cancelled, err)
	require.Empty(t, Children(t, h.DumpTool))
}

// AwaitChild waits until this process has a descendant that runs the program and returns its
// directory under /proc.
func AwaitChild(t *testing.T, program string) string {
	t.Helper()
	deadline := time.Now().Add(Timeout)
	for time.Now().Before(deadline) {
		if children := Children(t, program); len(children) > 0 {
			return children[0]
		}
		time.Sleep(time.Millisecond) // another process: there is no event to wait for
	}
	require.FailNow(t, "the program was never started", program)
	return ""
}

// dyingTool puts a script in the dump tool's place that passes some of the real output on.
func (h Harness) dyingTool(t *testing.T) {
	half := h.HalfDump
	if half == "" {
		half = fmt.Sprintf("%s \"$@\" | head -c %d", h.DumpTool, h.MinBytes/2)
	}
	for name, test := range map[string]struct {
		ending string
		told   func(*testing.T, error)
	}{
		"by a signal":                  {"kill -9 $$", func(t *testing.T, err error) { require.ErrorContains(t, err, "SIGKILL") }},
		"with a status":                {"exit 3", func(t *testing.T, err error) { require.ErrorContains(t, err, "status 3") }},
		"with success but half a dump": {"exit 0", func(t *testing.T, err error) { RequireClass(t, failure.Corrupt, err) }},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := TryDump(t, h.WithTools(FakeTool(t, h.DumpTool, half+"\n"+test.ending)), h.Source, h.Options)
			test.told(t, err)
		})
	}
	t.Run("with success and no output", func(t *testing.T) {
		_, _, err := TryDump(t, h.WithTools(FakeTool(t, h.DumpTool, "exit 0")), h.Source, h.Options)
		RequireClass(t, failure.Corrupt, err)
	})
	t.Run("without moving a byte", func(t *testing.T) {
		opts := h.Options
		opts.IdleTimeout = 200 * time.Millisecond
		_, _, err := TryDump(t, h.WithTools(FakeTool(t, h.DumpTool, "sleep 600")), h.Source, opts)
		RequireClass(t, failure.Timeout, err)
	})
}

func (h Harness) failingSink(t *testing.T) {
	broken := errors.New("the storage went away")
	_, err := h.Engine.Dump(Context(t), h.Source, h.Options, func(ctx context.Context, _ engine.Stream, r io.Reader) error {
		if _, err := io.ReadFull(Flat(ctx, r, nil), make([]byte, 1)); err != nil {
			return err
		}
		return broken
	})
	require.ErrorIs(t, err, broken)
	require.Empty(t, Children(t, h.DumpTool))
}

func (h Harness) inspectDamage(t *testing.T) {
	archive, _ := Dump(t, h.Engine, h.Source, h.Options)
	require.Greater(t, len(archive.Bytes), h.MinBytes)
	total := 0
	for _, s := range archive.Streams() {
		tables, err := h.Engine.Inspect(Context(t), s.Stream, bytes.NewReader(s.Bytes))
		require.NoError(t, err, s.Stream.Name)
		total += tables
	}
	require.GreaterOrEqual(t, total, h.MinTables)

	end := len(archive.Bytes)
	for name, damaged := range map[string][]byte{
		"nothing":         {},
		"not a dump":      bytes.Repeat([]byte("no dump "), 1000),
		"the first kB":    archive.Bytes[:1024],
		"half":            archive.Bytes[:end/2],
		"all but a byte":  archive.Bytes[:end-1],
		"a byte too much": append(append([]byte{}, archive.Bytes...), 7),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.Engine.Inspect(Context(t), archive.Stream, bytes.NewReader(damaged))
			RequireClass(t, failure.Corrupt, err)
		})
	}
	t.Run("a reader that fails gives its own error", func(t *testing.T) {
		broken := failure.New(failure.Corrupt, "read chunk", "wrong checksum", "")
		r, err := archive.FailingAt(end/2, broken)(Context(t), archive.Stream.Name, 0)
		require.NoError(t, err)
		_, err = h.Engine.Inspect(Context(t), archive.Stream, r)
		require.ErrorIs(t, err, broken)
	})
}

// FakeTool writes a shell script in place of a client tool and returns its directory. Asked for its
// version, it answers as the real one; everything else is the script's.
func FakeTool(t *testing.T, real, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = --version ]; then exec %s --version; fi\n%s\n", real, script)
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(real)), []byte(text), 0o755)) //nolint:gosec // a program
	return dir
}

// Children lists the processes of this machine that run the program and descend from this one.
func Children(t *testing.T, program string) []string {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	var found []string
	for _, dir := range entries {
		exe, err := os.Readlink(filepath.Join(dir, "exe"))
		if err == nil && exe == program && descends(dir, os.Getpid()) {
			found = append(found, dir)
		}
	}
	return found
}

// descends follows the parents of the process up to ancestor.
func descends(dir string, ancestor int) bool {
	for range 20 {
		stat, err := os.ReadFile(filepath.Join(dir, "stat")) //nolint:gosec // a path under /proc
		if err != nil {
			return false
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		parent := string(fields[1])
		if parent == fmt.Sprint(ancestor) {
			return true
		}
		dir = filepath.Join("/proc", parent)
	}
	return false
}
