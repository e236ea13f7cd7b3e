// Package enginetest is the conformance suite of engines: what package engine promises, run against
// a real server. An engine's own test is a Harness and one call of Run.
package enginetest

import (
	"bytes"
	"context"
	"io"
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
	// DumpTool is the path of the real dump program, RestoreTool of the restore program.
	DumpTool, RestoreTool string
	// WrongPassword, MissingDatabase and Unreachable spoil a copy of Source.
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
	t.Run("a missing tool is told", h.missingTool)
	t.Run("a cancelled dump leaves no process", h.cancelledDump)
	t.Run("a dump tool that dies is an error", h.dyingTool)
	t.Run("a sink that fails fails the dump", h.failingSink)
	t.Run("a damaged dump is found by inspect", h.inspectDamage)
	if _, ok := h.Engine.(engine.Stager); ok {
		t.Run("a failed restore leaves target and server as they were", h.failedRestore)
		t.Run("a full target is replaced only when asked", h.replace)
		t.Run("promote is idempotent and needs a staging", h.promote)
		t.Run("a scratch restore is discarded", h.scratch)
	}
}

// Archive is one dumped stream in memory.
type Archive struct {
	Stream engine.Stream
	Bytes  []byte
}

// Dump dumps src and returns its only stream.
func Dump(t *testing.T, e engine.Engine, src engine.Source, opts engine.DumpOptions) (Archive, engine.Report) {
	t.Helper()
	archive, report, err := TryDump(t, e, src, opts)
	require.NoError(t, err)
	return archive, report
}

// TryDump dumps src and returns what reached the sink.
func TryDump(t *testing.T, e engine.Engine, src engine.Source, opts engine.DumpOptions) (Archive, engine.Report, error) {
	t.Helper()
	var archive Archive
	report, err := e.Dump(Context(t), src, opts, func(_ context.Context, s engine.Stream, r io.Reader) error {
		var err error
		archive.Stream = s
		archive.Bytes, err = io.ReadAll(r)
		return err
	})
	return archive, report, err
}

// Opener serves the archive.
func (a Archive) Opener() engine.Opener {
	return func(_ context.Context, _ string, offset int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(a.Bytes[min(int(offset), len(a.Bytes)):])), nil
	}
}

// FailingAt serves the first n bytes and then err.
func (a Archive) FailingAt(n int, err error) engine.Opener {
	return func(_ context.Context, _ string, offset int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(a.Bytes[min(int(offset), n):n]), failingReader{err})), nil
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// StuckAt serves the first n bytes and then nothing until the context ends.
func (a Archive) StuckAt(n int) engine.Opener {
	return func(ctx context.Context, _ string, offset int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(a.Bytes[min(int(offset), n):n]), stuckReader{ctx})), nil
	}
}

type stuckReader struct{ ctx context.Context } //nolint:containedctx // the stream's own

func (s stuckReader) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// Request asks for a restore of the archive into target.
func (a Archive) Request(token, target string) engine.StageRequest {
	return engine.StageRequest{Token: token, Target: target, Streams: []engine.Stream{a.Stream}}
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
