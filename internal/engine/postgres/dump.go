package postgres

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
)

// outputBuffer is how many bytes pg_dump writes at a time: with less it takes longer for it, with more it sleeps more often, which
// its server pays for (decisions/0005).
const outputBuffer = 16 << 10

// Dump runs pg_dump on the datasource's database and hands its output to sink: as one stream, or with
// several jobs as one for each large table, which are stored at the same time, and some more. The
// structure of the dump is followed while it passes: what sink reads ends with io.EOF only if
// pg_dump exited with status 0 and wrote every block it had announced.
func (e *Engine) Dump(ctx context.Context, src engine.Source, opts engine.DumpOptions, sink engine.Sink) (engine.Report, error) {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return engine.Report{}, err
	}
	defer closeConn(conn)
	server, err := serverVersion(ctx, conn)
	if err != nil {
		return engine.Report{}, err
	}
	dumper, err := e.tools.atLeast(ctx, "pg_dump", server.major())
	if err != nil {
		return engine.Report{}, err
	}
	describe := func(ctx context.Context) (engine.Stream, error) {
		defer closeConn(conn) // the dump may take hours
		stream, err := describe(ctx, conn)
		if err != nil {
			return stream, err
		}
		stream.Properties[propServerVersion] = server.text
		stream.Properties[propToolVersion] = dumper.version
		if len(opts.IncludeTables) > 0 {
			stream.Properties[propPartial] = "true"
		}
		return stream, nil
	}
	var stderr string
	if opts.Jobs > 1 {
		stderr, err = e.dumpDirectory(ctx, dumper, src, opts, describe, sink)
	} else {
		stderr, err = dumpTo(ctx, dumper, src, opts, longestPause(src, conn.PgConn().Conn().RemoteAddr()), describe, sink)
	}
	if err != nil {
		return engine.Report{}, classifyTool("dump database "+quoted(src.Config.Database), err)
	}
	return engine.Report{
		ServerVersion: server.text,
		ToolVersions:  map[string]string{"pg_dump": dumper.version},
		Warnings:      warnings(stderr),
	}, nil
}

// describe asks for everything that the dump itself will not hold.
func describe(ctx context.Context, conn *pgx.Conn) (engine.Stream, error) {
	props, err := readProperties(ctx, conn)
	return engine.Stream{Name: StreamName, Format: Format, Properties: props}, err
}

// describer describes the database. It is called while pg_dump reads the database's catalog, which
// takes as long.
type describer func(context.Context) (engine.Stream, error)

func dumpTo(ctx context.Context, dumper tool, src engine.Source, opts engine.DumpOptions, pause time.Duration, describe describer, sink engine.Sink) (string, error) {
	env, err := newToolEnv(src, src.Config.Database)
	if err != nil {
		return "", err
	}
	defer env.remove()
	return process.Pull(ctx, process.Command{
		Path:        dumper.path,
		Args:        append([]string{"--format=custom"}, dumpArgs(opts)...),
		Env:         env.vars,
		IdleTimeout: opts.IdleTimeout,
		Secrets:     []string{src.Config.Password},

		OutputBuffer: outputBuffer, Pause: pause,
	}, func(ctx context.Context, r io.Reader) error {
		stream, err := describe(ctx)
		if err != nil {
			return err
		}
		checked := &walked{r: r, w: newWalker(), atEnd: func(found summary) {
			if index := writeIndex(found.blocks); found.known && index != "" {
				stream.Properties[propBlocks] = index
			}
			if found.known {
				engine.SetRows(stream.Properties, found.rows())
			}
		}}
		checked.w.lines = true
		defer checked.w.stop()
		return sink(ctx, stream, checked)
	})
}

// longestPause is for how long pg_dump may be stopped when it has caught up with the server of src, which is at address. Over
// loopback, some megabytes of buffers take what comes meanwhile, ten milliseconds of a fast server; a Unix socket has 0.2 MB, and
// to a server elsewhere a full buffer can mean an idle line.
func longestPause(src engine.Source, address net.Addr) time.Duration {
	if tcp, ok := address.(*net.TCPAddr); ok && tcp.IP.IsLoopback() && src.Via == "" {
		return 2 * time.Millisecond
	}
	return 500 * time.Microsecond
}

// dumpArgs are pg_dump's arguments. Uncompressed, because chunks are compressed later, and equal
// rows then give equal chunks. Each pattern is joined to its option, so that it is never one itself.
// An included pattern that matches nothing is an error; an excluded one only leaves more in.
func dumpArgs(opts engine.DumpOptions) []string {
	args := []string{"--compress=0", "--no-password"}
	if len(opts.IncludeTables) > 0 {
		args = append(args, "--strict-names")
	}
	for _, pattern := range opts.IncludeTables {
		args = append(args, "--table="+pattern)
	}
	for _, pattern := range opts.ExcludeTables {
		args = append(args, "--exclude-table="+pattern)
	}
	return append(args, opts.ExtraArgs...)
}
