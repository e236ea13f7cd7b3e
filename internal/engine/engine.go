// Package engine turns datasources into streams of bytes and back. Engine is the small core every
// type has; what only some can do are optional interfaces beside it. The explicit list of engines
// is in package all, the conformance suite in enginetest.
package engine

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Source is a datasource as an engine sees it: its decrypted configuration. Name is for messages.
// A Source never leaves the activity that built it, and is never logged.
type Source struct {
	Name   string
	Type   domain.DatasourceType
	Config domain.ConnectionConfig
	// Via, where set, is the host:port to connect to in place of Config.Host and Config.Port: the near
	// end of a tunnel. Config.Host stays the name that certificates are checked against.
	Via string
	// Disposable says that the database is a copy that a verification restored and drops: whoever asks it does no harm by writing.
	Disposable bool
}

// Info is what a connection test learns.
type Info struct {
	Version string        // the server's own version string, for example "15.18"
	Latency time.Duration // of one round trip on an open connection
}

// Estimate is a guess, before the dump, of what it will hold.
type Estimate struct {
	Bytes int64
}

// DumpOptions are the options of a backup job that an engine acts on.
type DumpOptions struct {
	IncludeTables []string
	ExcludeTables []string
	// ExtraArgs are further arguments of the dump tool, which domain.BackupOptions has checked for the type.
	ExtraArgs []string
	// Jobs is how many tables are dumped at the same time, where the engine can; 0 is 1.
	Jobs int
	// IdleTimeout ends a dump that moves no byte for so long, with failure.Timeout. 0 is never.
	IdleTimeout time.Duration
	// Base is the backup that an incremental or differential one builds on, nil for a full. What equals
	// it is found and not stored again without the engine's help; an engine uses it to read less.
	Base *Base
	// OneStream asks for a dump that is a single stream, of which the whole is read once: it is loaded while
	// it is made. An engine gives up for it what it stores beside the data.
	OneStream bool
	// Increments says that the job makes incremental or differential backups, so that later ones build on
	// this. An engine whose server keeps track of what changed since a backup needs to know.
	Increments bool
	// Tell is told how far the server is with a backup that it writes by itself.
	Tell Teller
}

// Base is a stored backup of the same datasource.
type Base struct {
	Type    domain.BackupType // Incremental or Differential: what is made on top of it
	Streams []Stream          // with their properties
	Open    Opener
	// Reusable reports whether a Segment may name the range: it begins and ends as a segment of the base,
	// and the storage location still has its data. What it has not is read from the datasource again.
	Reusable func(ctx context.Context, r Range) (bool, error)
}

// Stream describes one stream of a dump. Format names what reads it (for example "pg_dump-custom").
// Properties are what a restore needs beside the bytes, for example a database's encoding. While a
// stream is dumped its engine may add to them, up to the Read that returns io.EOF.
type Stream struct {
	Name       string            `json:"name"`
	Format     string            `json:"format"`
	Properties map[string]string `json:"properties,omitempty"`
	Bytes      int64             `json:"bytes,omitempty"` // of a stored stream; 0 is unknown
}

// Report is what a finished dump says about itself.
type Report struct {
	ServerVersion string
	ToolVersions  map[string]string
	Warnings      []string
}

// Sink stores one stream. It reads r to its end before it returns. An engine that fails after its
// Sink returned fails the dump all the same: nothing is committed before Dump returns nil. It may be
// called from several goroutines: up to DumpOptions.Jobs+1 streams of different names are stored at
// the same time, each making progress whether the others do or not.
type Sink func(ctx context.Context, s Stream, r io.Reader) error

// Opener gives the bytes of a stored stream from an offset in bytes, 0 being its beginning. The
// caller closes the reader. A reader that meets a bad chunk returns the error instead of the bytes.
// It may be called from several goroutines, and several readers may be open at a time.
type Opener func(ctx context.Context, name string, offset int64) (io.ReadCloser, error)

// Engine is what every datasource type can do. All errors are classified by package failure, name
// what was tried, and hold no secret. When the context ends, child processes and everything they
// started have ended before the method returns.
type Engine interface {
	// Type is the datasource type this engine serves.
	Type() domain.DatasourceType

	// Probe connects, authenticates and asks for the version.
	Probe(ctx context.Context, src Source) (Info, error)

	// Estimate guesses the size of a dump. It only steers the chunk size and the progress bar.
	Estimate(ctx context.Context, src Source) (Estimate, error)

	// Dump makes a consistent copy and hands each stream to sink. A dump tool that fails, or ends
	// before its end marker, is an error even if every byte reached the sink.
	Dump(ctx context.Context, src Source, opts DumpOptions, sink Sink) (Report, error)

	// Inspect reads one stored stream to its end with the engine's own tool, so that bytes which
	// are whole but not a dump are found. It returns how many tables (or collections) it lists.
	Inspect(ctx context.Context, s Stream, r io.Reader) (tables int, err error)
}

// StreamChecker is an engine whose dumps have more than one stream, and which can tell from their
// descriptions whether all are there. One that is missing is failure.Corrupt.
type StreamChecker interface {
	CheckStreams(streams []Stream) error
}

// CheckStreams asks e whether all streams of a dump are there; an engine that can not tell has no
// objection.
func CheckStreams(e Engine, streams []Stream) error {
	checker, ok := e.(StreamChecker)
	if !ok {
		return nil
	}
	return checker.CheckStreams(streams)
}

// StageRequest names what is restored into what. Token is unique to the execution (lower-case hex)
// and makes the staging name; the same token on a retry replaces what an earlier attempt left.
type StageRequest struct {
	Token        string
	Target       string // what the staging will replace, or become: a database, or (sqlite, files) an absolute path
	DropExisting bool   // an existing Target that is not empty may be replaced
	Scratch      bool   // verification: the staging is checked and dropped, Target is not looked at
	Jobs         int    // tables loaded and indexes made at the same time, where the engine can; 0 is 1
	Streams      []Stream
	Tell         Teller // is told how far the server is with what it loads by itself

	// BeforeBackup: what is restored is not backed up yet, so that Streams is empty, and what depends on it is not
	// looked at. Only CheckTarget takes such a request.
	BeforeBackup bool

	// Private: what is staged is not for everybody's eyes before Promote, because it will be changed by then.
	// An engine keeps others out of it as far as the server lets it, and Promote lets them in again.
	Private bool

	// IncludePaths (files) and IncludeTables (databases) are all that is restored; empty is everything.
	// An engine that can not choose refuses them with failure.Unsupported.
	IncludePaths  []string
	IncludeTables []string

	// Databases are those of a backup of a whole server that are restored, each under its own name, or
	// the only one into Target. It is empty for a backup of one database. See package databases.
	Databases []string

	// Explain, where set, is told, for people, what Discard did besides removing the staging.
	Explain func(message string)
}

// Say tells people what happened, if anybody listens.
func (r StageRequest) Say(format string, values ...any) {
	if r.Explain != nil {
		r.Explain(fmt.Sprintf(format, values...))
	}
}

// DefaultRestoreJobs is StageRequest.Jobs of a restore that nobody gave any: one for each CPU, but more
// than four rarely help, and the server has others to serve.
func DefaultRestoreJobs() int { return min(4, runtime.GOMAXPROCS(0)) }

// StageReport says what was loaded.
type StageReport struct {
	Staging  string // the database that holds the data until Promote
	Tables   int
	Warnings []string // what is not as in the backup, for people: owners, a locale
}

// Stager is an engine that restores beside its target and swaps the result in, so that the target
// is never half replaced. Every method may be called again after a crash.
type Stager interface {
	// CheckTarget refuses, before anything is written, a target that can not be restored into:
	// missing rights, or not empty without DropExisting (failure.ConfigInvalid).
	CheckTarget(ctx context.Context, target Source, req StageRequest) error

	// Stage loads the streams into a new place beside the target. The first error of the restore
	// tool fails it, and what it made is removed.
	Stage(ctx context.Context, target Source, req StageRequest, open Opener) (StageReport, error)

	// Promote gives the staging the target's name in one transaction; the old database is dropped
	// after it. Called again after it succeeded, it does nothing. Once the target is replaced there
	// is no error but the context's: an old database that could not be dropped is named in
	// warnings, for people.
	Promote(ctx context.Context, target Source, req StageRequest) (warnings []string, err error)

	// Discard removes the staging. What is not there is no error. A Promote that has begun and can not be
	// undone is finished instead, and req.Explain is told. What the target was is never lost: where it is
	// not known whether it is wanted, it is kept, and named in an error.
	Discard(ctx context.Context, target Source, req StageRequest) error
}
