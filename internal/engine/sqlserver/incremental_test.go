package sqlserver_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver/tdsserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// on are the options of a backup on top of another.
func on(base enginetest.Archive, held bool) engine.DumpOptions {
	return engine.DumpOptions{Increments: true, Base: &engine.Base{
		Type: domain.Incremental, Streams: base.Request("base0001", "").Streams, Open: base.Opener(),
		Reusable: func(_ context.Context, r engine.Range) (bool, error) {
			for _, s := range base.Streams() {
				if s.Stream.Name == r.Stream {
					return held && r.Offset == 0 && r.Bytes == int64(len(s.Bytes)), nil
				}
			}
			return false, nil
		},
	}}
}

func streamOf(archive enginetest.Archive, name string) *enginetest.Archive {
	for _, s := range archive.Streams() {
		if s.Stream.Name == name {
			return &s
		}
	}
	return nil
}

func addOrder(d *tdsserver.Database) { d.Tables["orders"] = append(d.Tables["orders"], "a new one") }
func changeShape(d *tdsserver.Database) {
	delete(d.Tables, "empty")
	d.Tables["new"] = []string{"1"}
	d.Tables["customers"][1] = "2 changed"
}

func TestIncrementsAreDifferentialsThatAreCompleteByThemselves(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	src := s.source(sampleName)
	contents, archives := []map[string][]string{s.server.Content(sampleName)}, []enginetest.Archive{}
	full, report := enginetest.Dump(t, s.engine, src, engine.DumpOptions{Increments: true})
	require.Empty(t, report.Warnings)
	archives = append(archives, full)
	for _, change := range []func(*tdsserver.Database){changeShape, addOrder} {
		s.server.Change(sampleName, change)
		contents = append(contents, s.server.Content(sampleName))
		next, report := enginetest.Dump(t, s.engine, src, on(archives[len(archives)-1], true))
		require.Empty(t, report.Warnings)
		require.Equal(t, full.Bytes, streamOf(next, sqlserver.FullName).Bytes)
		require.NotNil(t, streamOf(next, sqlserver.DifferentialName))
		archives = append(archives, next)
	}
	require.Less(t, len(streamOf(archives[1], sqlserver.DifferentialName).Bytes), len(full.Bytes)/10)
	require.Equal(t, 1, s.server.Sent("BACKUP DATABASE")-s.server.Sent("WITH DIFFERENTIAL"), "one full")
	s.requireClean()

	for i, archive := range archives {
		target, tables := s.fresh(t), 0
		for _, stream := range archive.Streams() {
			n, err := s.engine.Inspect(enginetest.Context(t), stream.Stream, bytes.NewReader(stream.Bytes))
			require.NoError(t, err)
			tables += n
		}
		require.Equal(t, len(contents[i]), tables, "the full below a differential does not count again")
		restored := enginetest.Restore(t, s.engine, src, archive.Request("cccc000"+string(rune('1'+i)), target), archive.Opener())
		require.Equal(t, len(contents[i]), restored.Tables)
		require.Equal(t, contents[i], s.server.Content(target))
	}
	s.requireClean()
}

func TestAnIncrementThatCanNotBeMadeIsAFullWithAWarning(t *testing.T) {
	for name, test := range map[string]struct {
		first   engine.DumpOptions
		lost    bool
		between func(s *site)
		warning string
	}{
		"when somebody else made a full": {engine.DumpOptions{Increments: true}, false, func(s *site) {
			_, report := enginetest.Dump(s.T, s.engine, s.source(sampleName), engine.DumpOptions{Increments: true})
			require.Empty(s, report.Warnings)
		}, "somebody else made a full backup"},
		"when somebody else makes a full at the same time": {engine.DumpOptions{Increments: true}, false, func(s *site) {
			other := false
			s.server.Inject(&tdsserver.Fault{Match: "WITH DIFFERENTIAL", Do: func() {
				if !other {
					other = true
					_, _ = enginetest.Dump(s.T, s.engine, s.source(sampleName), engine.DumpOptions{Increments: true})
				}
			}})
		}, "somebody else made a full backup"},
		"when the full is COPY_ONLY":       {engine.DumpOptions{}, false, func(*site) {}, "COPY_ONLY"},
		"when the storage lost part of it": {engine.DumpOptions{Increments: true}, true, func(*site) {}, "storage location"},
		"when the server forgot its base": {engine.DumpOptions{Increments: true}, false, func(s *site) {
			s.server.Inject(&tdsserver.Fault{Match: "WITH DIFFERENTIAL", Errors: []tdsserver.SQLError{{Number: 3035, Message: "Cannot perform a differential backup"}}})
		}, "no full backup that a differential can build on"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, tdsserver.Options{})
			full, _ := enginetest.Dump(t, s.engine, s.source(sampleName), test.first)
			s.server.Change(sampleName, addOrder)
			test.between(s)
			next, report := enginetest.Dump(t, s.engine, s.source(sampleName), on(full, !test.lost))
			require.Len(t, report.Warnings, 1)
			require.Contains(t, report.Warnings[0], test.warning)
			require.Len(t, next.Streams(), 1)
			require.Equal(t, "false", next.Stream.Properties["copy_only"], "later increments build on it")
			s.server.Heal()
			s.requireClean()

			again, report := enginetest.Dump(t, s.engine, s.source(sampleName), on(next, true))
			require.Empty(t, report.Warnings)
			require.Len(t, again.Streams(), 2)
			target := s.fresh(t)
			enginetest.Restore(t, s.engine, s.source(sampleName), again.Request("cccc0009", target), again.Opener())
			require.Equal(t, s.server.Content(sampleName), s.server.Content(target))
		})
	}
}

func TestAFullThatNothingBuildsOnLeavesOthersDifferentialsAlone(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	full, _ := enginetest.Dump(t, s.engine, s.source(sampleName), engine.DumpOptions{Increments: true})
	_, _ = enginetest.Dump(t, s.engine, s.source(sampleName), engine.DumpOptions{})
	next, report := enginetest.Dump(t, s.engine, s.source(sampleName), on(full, true))
	require.Empty(t, report.Warnings)
	require.Len(t, next.Streams(), 2)
}

func TestADifferentialOfAnotherFullIsNotRestored(t *testing.T) {
	s := newSite(t, tdsserver.Options{})
	src := s.source(sampleName)
	full, _ := enginetest.Dump(t, s.engine, src, engine.DumpOptions{Increments: true})
	next, _ := enginetest.Dump(t, s.engine, src, on(full, true))
	streams := next.Request("cccc0001", "x").Streams
	for i := range streams {
		if streams[i].Name == sqlserver.FullName {
			streams[i].Properties["backup_set_guid"] = "another"
		}
	}
	enginetest.RequireClass(t, failure.Corrupt, s.engine.CheckStreams(streams))
	enginetest.RequireClass(t, failure.Corrupt, s.engine.CheckStreams(streams[:0]))
}
