// Package databases backs up every database of a server with the engine of one: one stream or more a
// database, and the server's globals, in one backup. New databases are found at each backup. A restore
// picks one, some or all of them.
package databases

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// one is what an engine of a server can do with one database.
type one interface {
	engine.Engine
	engine.Stager
	engine.DatabaseLister
}

// Engine is the engine of a whole server.
type Engine struct{ one }

var (
	_ engine.Engine        = (*Engine)(nil)
	_ engine.Stager        = (*Engine)(nil)
	_ engine.StreamChecker = (*Engine)(nil)
)

// Of makes the engine of a whole server from that of one database. Errors: Unsupported.
func Of(e engine.Engine) (*Engine, error) {
	inner, ok := e.(one)
	if !ok {
		return nil, failure.New(failure.Unsupported, "choose engine", fmt.Sprintf("a %s datasource has no databases to choose from", e.Type()),
			"Give the datasource one database.")
	}
	return &Engine{inner}, nil
}

// in is the source with one of its databases.
func in(src engine.Source, database string) engine.Source {
	src.Config.Database, src.Config.Databases = database, nil
	return src
}

// Estimate is the sum of the databases' estimates.
func (e *Engine) Estimate(ctx context.Context, src engine.Source) (engine.Estimate, error) {
	var total engine.Estimate
	names, err := e.Selected(ctx, src)
	if err != nil {
		return total, err
	}
	for _, name := range names {
		estimate, err := e.one.Estimate(ctx, in(src, name))
		if failure.ClassOf(err) == failure.NotFound {
			continue // dropped meanwhile
		}
		if err != nil {
			return total, err
		}
		total.Bytes += estimate.Bytes
	}
	return total, nil
}

// Selected lists the databases that the datasource selects, which a dump would hold.
func (e *Engine) Selected(ctx context.Context, src engine.Source) ([]string, error) {
	selection := src.Config.Databases
	if selection == nil {
		return nil, failure.New(failure.ConfigInvalid, "choose databases", "the datasource selects none", "Set databases.all, or give it one database.")
	}
	all, err := e.Databases(ctx, src)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		if selection.Selects(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, failure.New(failure.ConfigInvalid, "choose databases",
			fmt.Sprintf("none is left of the %d databases that user %q sees", len(all), src.Config.Username),
			"Change databases.exclude, or give the user rights on the databases.")
	}
	return names, nil
}

// Dump dumps the globals and then every selected database, one after the other, each consistent in
// itself. One that was dropped since they were listed is left out with a warning.
func (e *Engine) Dump(ctx context.Context, src engine.Source, opts engine.DumpOptions, sink engine.Sink) (engine.Report, error) {
	if len(opts.IncludeTables) > 0 {
		return engine.Report{}, failure.New(failure.ConfigInvalid, "dump every database", "include_tables can not be chosen for every database at once",
			"Leave include_tables empty, or make a datasource of the one database.")
	}
	names, err := e.Selected(ctx, src)
	if err != nil {
		return engine.Report{}, err
	}
	total := engine.Report{ToolVersions: map[string]string{}}
	if err := e.dumpGlobals(ctx, src, sink, &total); err != nil {
		return engine.Report{}, err
	}
	for _, name := range names {
		begun := false
		report, err := e.one.Dump(ctx, in(src, name), e.optionsFor(opts, name), func(ctx context.Context, s engine.Stream, r io.Reader) error {
			begun = true
			s.Name = streamName(name, s.Name)
			return sink(ctx, s, renamed(r, name))
		})
		if failure.ClassOf(err) == failure.NotFound && !begun && e.dropped(ctx, src, name) {
			total.Warnings = append(total.Warnings, fmt.Sprintf("database %q was dropped before it was dumped", name))
			continue
		}
		if err != nil {
			return engine.Report{}, err
		}
		total.ServerVersion = report.ServerVersion
		maps.Copy(total.ToolVersions, report.ToolVersions)
		for _, warning := range report.Warnings {
			total.Warnings = append(total.Warnings, fmt.Sprintf("database %q: %s", name, warning))
		}
	}
	return total, nil
}

func (e *Engine) dumpGlobals(ctx context.Context, src engine.Source, sink engine.Sink, report *engine.Report) error {
	dumper, ok := e.one.(engine.GlobalsDumper)
	if !ok {
		return nil
	}
	warnings, err := dumper.DumpGlobals(ctx, in(src, ""), func(ctx context.Context, s engine.Stream, r io.Reader) error {
		s.Name = globalsPrefix + s.Name
		return sink(ctx, s, r)
	})
	report.Warnings = append(report.Warnings, warnings...)
	return err
}

func (e *Engine) dropped(ctx context.Context, src engine.Source, name string) bool {
	names, err := e.Databases(ctx, src)
	return err == nil && !slices.Contains(names, name)
}

// optionsFor gives the engine of one database what the base has of it; a database that is not in the
// base is dumped as if there were none.
func (e *Engine) optionsFor(opts engine.DumpOptions, database string) engine.DumpOptions {
	if opts.Base == nil {
		return opts
	}
	base := *opts.Base
	opts.Base = nil
	if base.Streams = of(base.Streams, database); len(base.Streams) > 0 {
		base.Open = opener(base.Open, database)
		base.Reusable = reusable(base.Reusable, database)
		opts.Base = &base
	}
	return opts
}

func opener(open engine.Opener, database string) engine.Opener {
	return func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
		return open(ctx, streamName(database, name), offset)
	}
}

// reusable asks for a range of one database by the name that its stream has in the backup.
func reusable(ask func(context.Context, engine.Range) (bool, error), database string) func(context.Context, engine.Range) (bool, error) {
	if ask == nil {
		return nil
	}
	return func(ctx context.Context, r engine.Range) (bool, error) {
		r.Stream = streamName(database, r.Stream)
		return ask(ctx, r)
	}
}

// segments gives the ranges of the base the names that the base's streams have in the backup.
type segments struct {
	engine.Segmented
	database string
}

func renamed(r io.Reader, database string) io.Reader {
	if segmented, is := r.(engine.Segmented); is {
		return segments{segmented, database}
	}
	return r
}

func (s segments) Next() (engine.Segment, error) {
	segment, err := s.Segmented.Next()
	if segment.Data == nil && err == nil {
		segment.Base.Stream = streamName(s.database, segment.Base.Stream)
	}
	return segment, err
}

// Inspect lets the engine read a stream of one database, or of the globals.
func (e *Engine) Inspect(ctx context.Context, s engine.Stream, r io.Reader) (int, error) {
	_, name, ok := split(s.Name)
	if !ok {
		return 0, failure.New(failure.Corrupt, "read the backup", fmt.Sprintf("stream %q belongs to no database", s.Name), "The backup is damaged; restore another one.")
	}
	s.Name = name
	return e.one.Inspect(ctx, s, r)
}

// CheckStreams tells whether each database has every stream it needs.
func (e *Engine) CheckStreams(streams []engine.Stream) error {
	names := Names(streams)
	if len(names) == 0 {
		return failure.New(failure.Corrupt, "read the backup", "it has no stream of a database", "The backup is damaged; restore another one.")
	}
	for _, name := range names {
		if err := engine.CheckStreams(e.one, of(streams, name)); err != nil {
			return inDatabase(name, err)
		}
	}
	return nil
}

func inDatabase(name string, err error) error {
	if err == nil {
		return nil
	}
	return failure.Wrap(failure.ClassOf(err), fmt.Sprintf("database %q", name), err, failure.HintOf(err))
}

// For chooses the engine for a datasource: e itself, or that of a whole server.
func For(e engine.Engine, config domain.ConnectionConfig) (engine.Engine, error) {
	if config.Databases == nil {
		return e, nil
	}
	return Of(e)
}

// ForStreams chooses the engine for a backup by the names of its streams.
func ForStreams(e engine.Engine, streams []engine.Stream) (engine.Engine, error) {
	if len(streams) == 0 || !(strings.HasPrefix(streams[0].Name, databasePrefix) || strings.HasPrefix(streams[0].Name, globalsPrefix)) {
		return e, nil
	}
	return Of(e)
}
