package databases_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/databases"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// server is a server in memory: databases with one text each, and one stream of globals. Those of real servers are tested
// with their engines.
type server struct {
	content map[string]string
	gone    string // is dropped between the listing and its dump
	done    []string
	fail    string // the database in which every step of a restore fails
}

func (s *server) Type() domain.DatasourceType { return domain.Postgres }

func (s *server) Probe(context.Context, engine.Source) (engine.Info, error) {
	return engine.Info{Version: "1"}, nil
}

func (s *server) Estimate(_ context.Context, src engine.Source) (engine.Estimate, error) {
	if src.Config.Database == s.gone {
		return engine.Estimate{}, notFound()
	}
	return engine.Estimate{Bytes: int64(len(s.content[src.Config.Database]))}, nil
}

func notFound() error {
	return failure.New(failure.NotFound, "connect", "there is no such database", "")
}

func (s *server) Databases(context.Context, engine.Source) (names []string, _ error) {
	for name := range s.content {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (s *server) Dump(ctx context.Context, src engine.Source, _ engine.DumpOptions, sink engine.Sink) (engine.Report, error) {
	if name := src.Config.Database; name == s.gone {
		delete(s.content, name)
		return engine.Report{}, notFound()
	}
	report := engine.Report{ServerVersion: "1", ToolVersions: map[string]string{"tool": "1"}, Warnings: []string{"a warning"}}
	return report, sink(ctx, engine.Stream{Name: "main", Format: "text"}, strings.NewReader(s.content[src.Config.Database]))
}

func (s *server) DumpGlobals(ctx context.Context, _ engine.Source, sink engine.Sink) ([]string, error) {
	return nil, sink(ctx, engine.Stream{Name: "roles.sql", Format: "roles"}, strings.NewReader("roles"))
}

func (s *server) RestoreGlobals(_ context.Context, _ engine.Source, stream engine.Stream, r io.Reader, tell func(bool, string)) error {
	text, err := io.ReadAll(r)
	tell(true, stream.Name+" "+string(text))
	return err
}

func (s *server) Inspect(_ context.Context, stream engine.Stream, r io.Reader) (int, error) {
	_, err := io.Copy(io.Discard, r)
	s.done = append(s.done, "inspect "+stream.Name)
	return 1, err
}

func (s *server) step(what string, src engine.Source, req engine.StageRequest) error {
	s.done = append(s.done, what+" "+src.Config.Database+"→"+req.Target)
	if req.Target == s.fail {
		return failure.New(failure.StorageFull, what, "no room", "Make some.")
	}
	return nil
}

func (s *server) CheckTarget(_ context.Context, src engine.Source, req engine.StageRequest) error {
	return s.step("check", src, req)
}

func (s *server) Stage(ctx context.Context, src engine.Source, req engine.StageRequest, open engine.Opener) (engine.StageReport, error) {
	if err := s.step("stage", src, req); err != nil {
		return engine.StageReport{}, err
	}
	r, err := open(ctx, req.Streams[0].Name, 0)
	if err != nil {
		return engine.StageReport{}, err
	}
	text, err := io.ReadAll(r)
	return engine.StageReport{Staging: req.Target + " " + req.Token, Tables: 1, Warnings: []string{string(text)}}, err
}

func (s *server) Promote(_ context.Context, src engine.Source, req engine.StageRequest) ([]string, error) {
	return nil, s.step("promote", src, req)
}

func (s *server) Discard(_ context.Context, src engine.Source, req engine.StageRequest) error {
	return s.step("discard", src, req)
}

func whole(t *testing.T, s *server) (*databases.Engine, engine.Source) {
	t.Helper()
	e, err := databases.Of(s)
	require.NoError(t, err)
	return e, engine.Source{Config: domain.ConnectionConfig{Databases: &domain.DatabaseSelection{All: true, Exclude: []string{"test_*"}}}}
}

func TestEveryDatabaseIsAStreamOfItsOwnBesideTheGlobals(t *testing.T) {
	s := &server{content: map[string]string{"a/b": "one", "b": "two", "test_x": "no", "c": "gone"}, gone: "c"}
	e, src := whole(t, s)
	estimate, err := e.Estimate(t.Context(), src)
	require.NoError(t, err)
	require.Equal(t, int64(len("onetwo")), estimate.Bytes)
	archive, report := enginetest.Dump(t, e, src, engine.DumpOptions{})
	var names []string
	for _, stored := range archive.Streams() {
		names = append(names, stored.Stream.Name)
	}
	require.Equal(t, []string{"globals/roles.sql", "db/a%2Fb/main", "db/b/main"}, names)
	require.Equal(t, []string{`database "a/b": a warning`, `database "b": a warning`, `database "c" was dropped before it was dumped`}, report.Warnings)
	streams := archive.Request("aaaa0001", "").Streams
	require.Equal(t, []string{"a/b", "b"}, databases.Names(streams))
	chosen, err := databases.ForStreams(s, streams)
	require.NoError(t, err)
	require.IsType(t, e, chosen)
	_, err = e.Inspect(t.Context(), streams[1], strings.NewReader("one"))
	require.NoError(t, err)
	require.Equal(t, []string{"inspect main"}, s.done)
	enginetest.RequireClass(t, failure.Corrupt, e.CheckStreams(streams[:1]))

	var told []string
	tell := func(_ bool, what string) { told = append(told, what) }
	require.NoError(t, e.RestoreGlobals(t.Context(), src, streams, archive.Opener(), tell))
	require.Equal(t, []string{"roles.sql roles"}, told)
	enginetest.RequireClass(t, failure.NotFound, e.RestoreGlobals(t.Context(), src, streams[1:], archive.Opener(), tell))
}

func TestEachDatabaseIsRestoredUnderItsNameWithATokenOfItsOwn(t *testing.T) {
	s := &server{content: map[string]string{"a": "one", "b": "two"}}
	e, src := whole(t, s)
	archive, _ := enginetest.Dump(t, e, src, engine.DumpOptions{})
	req := archive.Request("aaaa0001", "")
	req.Databases = []string{"a", "b"}
	report, err := e.Stage(t.Context(), src, req, archive.Opener())
	require.NoError(t, err)
	require.Equal(t, 2, report.Tables)
	require.Equal(t, []string{`database "a": one`, `database "b": two`}, report.Warnings)
	stagings := strings.Split(report.Staging, ", ")
	require.NotEqual(t, strings.Fields(stagings[0])[1], strings.Fields(stagings[1])[1], "they must not meet in one name")
	staged, err := e.Staged(req, report.Staging)
	require.NoError(t, err)
	for i, one := range staged {
		require.Equal(t, req.Databases[i], one.Database)
		require.Equal(t, stagings[i], one.Staging)
		require.Equal(t, []string{"main"}, []string{one.Streams[0].Name})
	}
	_, err = e.Staged(req, stagings[0])
	enginetest.RequireClass(t, failure.Corrupt, err)
	s.done, s.fail = nil, "b"
	_, err = e.Promote(t.Context(), src, req)
	enginetest.RequireClass(t, failure.StorageFull, err)
	require.ErrorContains(t, err, `database "b"`)
	require.Equal(t, "Make some.", failure.HintOf(err))
	s.done, s.fail = nil, "a"
	require.Error(t, e.Discard(t.Context(), src, req))
	require.Equal(t, []string{"discard a→a", "discard b→b"}, s.done, "a clean-up goes on after an error")
}

func TestWhatCanNotBeChosenIsRefused(t *testing.T) {
	s := &server{content: map[string]string{"a": "one", "b": "two"}}
	e, src := whole(t, s)
	archive, _ := enginetest.Dump(t, e, src, engine.DumpOptions{})
	for name, change := range map[string]func(*engine.StageRequest){
		"one that is not in the backup": func(r *engine.StageRequest) { r.Databases = []string{"x"} },
		"several into one":              func(r *engine.StageRequest) { r.Databases, r.Target = []string{"a", "b"}, "one" },
		"none":                          func(*engine.StageRequest) {},
	} {
		t.Run(name, func(t *testing.T) {
			req := archive.Request("aaaa0001", "")
			change(&req)
			enginetest.RequireClass(t, failure.ConfigInvalid, e.CheckTarget(t.Context(), src, req))
			require.Empty(t, s.done)
		})
	}
	_, err := e.Dump(t.Context(), src, engine.DumpOptions{IncludeTables: []string{"t"}}, nil)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	src.Config.Databases.Exclude = []string{"*"}
	_, err = e.Dump(t.Context(), src, engine.DumpOptions{}, nil)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	_, err = databases.Of(nothing{s})
	enginetest.RequireClass(t, failure.Unsupported, err)
}

// nothing is an engine that lists no databases.
type nothing struct{ engine.Engine }
