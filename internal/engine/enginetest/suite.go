// Package enginetest is the conformance suite of engines: what package engine promises, run against
// a real server. An engine's own test is a Harness and one call of Run.
package enginetest

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Timeout bounds every call the suite makes.
const Timeout = 2 * time.Minute

// Harness is one engine with a real server behind it.
type Harness struct {
	Engine engine.Engine
	// WithTools returns the engine as it is when client tools are only in dir.
	WithTools func(dir string) engine.Engine
	// Source is a datasource with sample data: at least MinTables tables and MinBytes of dump.
	Source    engine.Source
	MinTables int
	MinBytes  int
	// Options are those of every dump; with jobs it is restored with as many.
	Options engine.DumpOptions
	// HalfDump is a shell script that writes half of what DumpTool would, called as that; "" is one
	// for a tool that writes to its standard output.
	HalfDump string
	// DumpTool is the path of the real dump program, RestoreTool of the restore program. An engine that runs
	// no programs has neither, and what the suite says about programs does not apply to it.
	DumpTool, RestoreTool string
	// WrongPassword, MissingDatabase and Unreachable spoil a copy of Source. An engine without a server has
	// no first and no last.
	WrongPassword, MissingDatabase, Unreachable func(engine.Source) engine.Source
	// Hold makes a dump of src wait on the server until release is called.
	Hold func(t *testing.T, src engine.Source) (release func())
	// FreshDatabase names a database that does not exist. Whatever has that name when the test
	// ends is dropped.
	FreshDatabase func(t *testing.T) string
	// In is Source with another database.
	In func(engine.Source, string) engine.Source
	// Content is everything in a database that a restore has to bring back, in a form that
	// require.Equal can compare; rows included.
	Content func(t *testing.T, src engine.Source) any
	// Databases lists the server's databases.
	Databases func(t *testing.T) []string
}

// Run checks the harness's engine.
func Run(t *testing.T, h Harness) {
	t.Run("a probe tells the version", h.probe)
	t.Run("a dump restores into a new database with the same content", h.roundTrip)
	t.Run("connection errors are classified", h.connectionErrors)
	t.Run("a cancelled dump leaves no process", h.cancelledDump)
	if h.DumpTool != "" {
		t.Run("a missing tool is told", h.missingTool)
		t.Run("a dump tool that dies is an error", h.dyingTool)
	}
	t.Run("a sink that fails fails the dump", h.failingSink)
	t.Run("a damaged dump is found by inspect", h.inspectDamage)
	if _, ok := h.Engine.(engine.Stager); ok {
		t.Run("a failed restore leaves target and server as they were", h.failedRestore)
		t.Run("a full target is replaced only when asked", h.replace)
		t.Run("promote is idempotent and needs a staging", h.promote)
		t.Run("a scratch restore is discarded", h.scratch)
	}
}

// Archive is a dump in memory. Stream and Bytes are its largest stream, which is what damage is done
// to; Others are the others, if it has any.
type Archive struct {
	Stream engine.Stream
	Bytes  []byte
	Others []Archive
	Jobs   int // it was dumped with, and is restored with
}

// Dump dumps src.
func Dump(t *testing.T, e engine.Engine, src engine.Source, opts engine.DumpOptions) (Archive, engine.Report) {
	t.Helper()
	archive, report, err := TryDump(t, e, src, opts)
	require.NoError(t, err)
	return archive, report
}

// TryDump dumps src and returns what reached the sink.
func TryDump(t *testing.T, e engine.Engine, src engine.Source, opts engine.DumpOptions) (Archive, engine.Report, error) {
	t.Helper()
	var mu sync.Mutex
	var streams []Archive
	report, err := e.Dump(Context(t), src, opts, func(_ context.Context, s engine.Stream, r io.Reader) error {
		bytes, err := io.ReadAll(Flat(Context(t), r, opts.Base))
		mu.Lock()
		defer mu.Unlock()
		s.Bytes = int64(len(bytes))
		streams = append(streams, Archive{Stream: s, Bytes: bytes})
		return err
	})
	if len(streams) == 0 {
		return Archive{Jobs: opts.Jobs}, report, err
	}
	slices.SortFunc(streams, func(a, b Archive) int { return len(b.Bytes) - len(a.Bytes) })
	archive := streams[0]
	archive.Others, archive.Jobs = streams[1:], opts.Jobs
	return archive, report, err
}

// Streams are all of its streams.
func (a Archive) Streams() []Archive { return append([]Archive{a}, a.Others...) }

// With is the archive with other bytes in its largest stream.
func (a Archive) With(bytes []byte) Archive {
	a.Bytes = bytes
	return a
}

// Opener serves the archive.
func (a Archive) Opener() engine.Opener { return a.opener(len(a.Bytes), nil) }

// FailingAt serves the first n bytes of its largest stream and then err.
func (a Archive) FailingAt(n int, err error) engine.Opener {
	return a.opener(n, func(context.Context) io.Reader { return failingReader{err} })
}

// StuckAt serves the first n bytes of its largest stream and then nothing until the context ends.
func (a Archive) StuckAt(n int) engine.Opener {
	return a.opener(n, func(ctx context.Context) io.Reader { return stuckReader{ctx} })
}

func (a Archive) opener(n int, then func(context.Context) io.Reader) engine.Opener {
	return func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
		for _, other := range a.Others {
			if other.Stream.Name == name {
				return other.Opener()(ctx, name, offset)
			}
		}
		r := io.Reader(bytes.NewReader(a.Bytes[min(int(offset), n):n]))
		if then != nil {
			r = io.MultiReader(r, then(ctx))
		}
		return io.NopCloser(r), nil
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

type stuckReader struct{ ctx context.Context } //nolint:containedctx // the stream's own

func (s stuckReader) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// Request asks for a restore of the archive into target.
func (a Archive) Request(token, target string) engine.StageRequest {
	req := engine.StageRequest{Token: token, Target: target, Jobs: a.Jobs}
	for _, s := range a.Streams() {
		req.Streams = append(req.Streams, s.Stream)
	}
	return req
}

// Restore restores the archive with all steps of a Stager.
func Restore(t *testing.T, e engine.Engine, target engine.Source, req engine.StageRequest, open engine.Opener) engine.StageReport {
	t.Helper()
	stager, ctx := e.(engine.Stager), Context(t)
	require.NoError(t, stager.CheckTarget(ctx, target, req))
	report, err := stager.Stage(ctx, target, req, open)
	require.NoError(t, err)
	warnings, err := stager.Promote(ctx, target, req)
	require.NoError(t, err)
	require.Empty(t, warnings)
	return report
}

// Context is bounded by Timeout.
func Context(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	t.Cleanup(cancel)
	return ctx
}

// RequireClass checks an error's class, and that it names what was tried.
func RequireClass(t *testing.T, want failure.Class, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want, failure.ClassOf(err), "%v", err)
	require.NotEmpty(t, err.Error())
}
