package mongodb

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/mongo"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongotool"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Dump runs mongodump on the datasource's database, one collection after the other whatever
// DumpOptions.Jobs says: several at a time would mix their documents as chance has it, and an increment
// would find nothing of it again.
func (e *Engine) Dump(ctx context.Context, src engine.Source, opts engine.DumpOptions, sink engine.Sink) (engine.Report, error) {
	client, err := connect(ctx, src)
	if err != nil {
		return engine.Report{}, err
	}
	defer disconnect(client)
	version, err := client.version(ctx)
	if err != nil {
		return engine.Report{}, err
	}
	all, err := client.collections(ctx, src.Config.Database)
	if err != nil {
		return engine.Report{}, err
	}
	changes, unfollowed, err := client.followOplog(ctx, src.Config.Database, opts)
	if err != nil {
		return engine.Report{}, err
	}
	excluded, err := choose(all, opts.IncludeTables, opts.ExcludeTables)
	if err != nil {
		return engine.Report{}, err
	}
	// Functions of the server's own JavaScript live in a collection that can not be renamed.
	excluded = append(excluded, systemJS)
	tool, err := e.command(ctx, src, mongotool.Dump, mongotool.Config{Database: src.Config.Database, ExcludeCollections: excluded})
	if err != nil {
		return engine.Report{}, err
	}
	defer tool.close()
	tool.IdleTimeout = opts.IdleTimeout
	stream := engine.Stream{Name: StreamName, Format: Format, Properties: map[string]string{
		propDatabase: src.Config.Database, propServerVersion: version, propToolVersion: mongotool.Version,
	}}
	if series := timeSeries(all, excluded); len(series) > 0 {
		stream.Properties[propTimeSeries] = strings.Join(series, ", ")
	}
	report := engine.Report{
		ServerVersion: version, ToolVersions: map[string]string{"mongodump": mongotool.Version},
		Warnings: append(warnings(stream.Properties[propTimeSeries]), unfollowed...),
	}
	_, err = process.Pull(ctx, tool.Command, func(ctx context.Context, r io.Reader) error {
		archive := newChecked(r)
		defer archive.stop()
		return sink(ctx, stream, counting{archive, stream.Properties})
	})
	if err != nil {
		return engine.Report{}, classifyTool("dump database "+src.Config.Database, err)
	}
	if changes != nil {
		more, err := changes.store(ctx, sink)
		if err != nil {
			return engine.Report{}, err
		}
		report.Warnings = append(report.Warnings, more...)
	}
	return report, nil
}

// timeSeries are the collections that can be backed up, but not restored.
func timeSeries(all []*mongo.CollectionSpecification, excluded []string) (names []string) {
	for _, s := range all {
		if s.Type == typeTimeSeries && !slices.Contains(excluded, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

func warnings(series string) []string {
	if series == "" {
		return nil
	}
	return []string{fmt.Sprintf("time series collections (%s) are in the backup, but this version does not restore them: MongoDB can not rename them. Download the backup and use mongorestore --archive", series)}
}

// choose is what is left out of all. A pattern that was to include something and finds nothing is an error.
func choose(all []*mongo.CollectionSpecification, include, exclude []string) ([]string, error) {
	const op = "choose the collections"
	for _, pattern := range slices.Concat(include, exclude) {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%q is not a pattern", pattern), "Use a collection's name, with * and ? where any text may stand.")
		}
	}
	for _, pattern := range include {
		if !slices.ContainsFunc(all, func(s *mongo.CollectionSpecification) bool { return matches(pattern, s.Name) }) {
			return nil, failure.New(failure.ConfigInvalid, op, fmt.Sprintf("include_tables has %q, and no collection has this name", pattern), "Check include_tables of the backup job.")
		}
	}
	var left []string
	for _, s := range all {
		if isOwn(s.Name) || (len(include) > 0 && !matchesAny(include, s.Name)) || matchesAny(exclude, s.Name) {
			left = append(left, s.Name)
		}
	}
	return left, nil
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, name) })
}

// matches compares a name with a pattern, in which a star also stands for a slash.
func matches(pattern, name string) bool {
	found, err := path.Match(strings.ReplaceAll(pattern, "/", "\x01"), strings.ReplaceAll(name, "/", "\x01"))
	return err == nil && found
}

func compare(a, b string) int { return cmp.Compare(a, b) }

func number(value any) int64 {
	switch v := value.(type) {
	case int32:
		return int64(v)
	case int64:
		return v
	case float64:
		return int64(v)
	}
	return 0
}
