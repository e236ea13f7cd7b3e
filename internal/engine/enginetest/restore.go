package enginetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func (h Harness) roundTrip(t *testing.T) {
	archive, report := Dump(t, h.Engine, h.Source, h.Options)
	require.NotEmpty(t, report.ServerVersion)
	require.NotEmpty(t, report.ToolVersions)
	target := h.FreshDatabase(t)
	restored := Restore(t, h.Engine, h.Source, archive.Request("aaaa0001", target), archive.Opener())
	require.GreaterOrEqual(t, restored.Tables, h.MinTables)
	require.Equal(t, h.Content(t, h.Source), h.Content(t, h.In(h.Source, target)))
}

func (h Harness) failedRestore(t *testing.T) {
	archive, _ := Dump(t, h.Engine, h.Source, h.Options)
	target := h.FreshDatabase(t)
	Restore(t, h.Engine, h.Source, archive.Request("aaaa0002", target), archive.Opener())
	content, databases := h.Content(t, h.In(h.Source, target)), h.Databases(t)
	stager := h.Engine.(engine.Stager)

	req := archive.Request("aaaa0003", target)
	req.DropExisting = true
	chunk := failure.New(failure.Corrupt, "read chunk", "wrong checksum", "")
	for name, open := range map[string]engine.Opener{
		"when a chunk is bad":      archive.FailingAt(len(archive.Bytes)/2, chunk),
		"when the last one is bad": archive.FailingAt(len(archive.Bytes), chunk),
		"when the dump is cut":     archive.With(archive.Bytes[:len(archive.Bytes)/2]).Opener(),
		"when it is no dump":       archive.With([]byte("no dump")).Opener(),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := stager.Stage(Context(t), h.Source, req, open)
			RequireClass(t, failure.Corrupt, err)
			_, err = stager.Promote(Context(t), h.Source, req)
			require.Error(t, err, "there is nothing to promote")
			require.Equal(t, databases, h.Databases(t))
			require.Empty(t, Children(t, h.RestoreTool))
		})
	}
	require.Equal(t, content, h.Content(t, h.In(h.Source, target)))
}

func (h Harness) replace(t *testing.T) {
	archive, _ := Dump(t, h.Engine, h.Source, h.Options)
	target := h.FreshDatabase(t)
	Restore(t, h.Engine, h.Source, archive.Request("aaaa0004", target), archive.Opener())
	before := h.Databases(t)

	req := archive.Request("aaaa0005", target)
	err := h.Engine.(engine.Stager).CheckTarget(Context(t), h.Source, req)
	RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, failure.Message(err), "drop_existing")
	err = h.Engine.(engine.Stager).CheckTarget(Context(t), h.Source, ahead(req))
	RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, failure.Message(err), "drop_existing", "a sync is to know before it backs up")

	req.DropExisting = true
	require.NoError(t, h.Engine.(engine.Stager).CheckTarget(Context(t), h.Source, ahead(req)))
	Restore(t, h.Engine, h.Source, req, archive.Opener())
	require.Equal(t, before, h.Databases(t), "neither the staging nor the old database is left")
	require.Equal(t, h.Content(t, h.Source), h.Content(t, h.In(h.Source, target)))
}

// ahead is the request as it is before there is a backup.
func ahead(req engine.StageRequest) engine.StageRequest {
	req.Streams, req.BeforeBackup = nil, true
	return req
}

func (h Harness) promote(t *testing.T) {
	archive, _ := Dump(t, h.Engine, h.Source, h.Options)
	target, stager := h.FreshDatabase(t), h.Engine.(engine.Stager)
	req := archive.Request("aaaa0006", target)
	_, err := stager.Promote(Context(t), h.Source, req)
	RequireClass(t, failure.NotFound, err)

	// A retried Stage replaces what the first one left.
	for range 2 {
		_, err := stager.Stage(Context(t), h.Source, req, archive.Opener())
		require.NoError(t, err)
	}
	for range 3 {
		warnings, err := stager.Promote(Context(t), h.Source, req)
		require.NoError(t, err)
		require.Empty(t, warnings)
	}
	require.NoError(t, stager.Discard(Context(t), h.Source, req), "discard after promote touches nothing")
	require.Equal(t, h.Content(t, h.Source), h.Content(t, h.In(h.Source, target)))
}

func (h Harness) scratch(t *testing.T) {
	archive, _ := Dump(t, h.Engine, h.Source, h.Options)
	before, stager := h.Databases(t), h.Engine.(engine.Stager)
	req := archive.Request("aaaa0007", "")
	req.Scratch = true
	require.NoError(t, stager.CheckTarget(Context(t), h.Source, req))
	report, err := stager.Stage(Context(t), h.Source, req, archive.Opener())
	require.NoError(t, err)
	require.GreaterOrEqual(t, report.Tables, h.MinTables)
	require.Equal(t, h.Content(t, h.Source), h.Content(t, h.In(h.Source, report.Staging)))
	_, err = stager.Promote(Context(t), h.Source, req)
	require.Error(t, err, "a verification replaces nothing")
	for range 2 {
		require.NoError(t, stager.Discard(Context(t), h.Source, req))
	}
	require.Equal(t, before, h.Databases(t))
}
