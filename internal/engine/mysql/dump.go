package mysql

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
)

// packetBytes bounds an INSERT of a dump, so that every server takes it.
const packetBytes = 1 << 20

// outputBuffer is how many bytes a dump tool writes at once. By itself it writes a page at a time, and each write into a pipe costs
// it more than the page: the tool is one thread, and everything else waits for it (decisions/0019).
const outputBuffer = 128 << 10

// Dump runs the dump tool on the datasource's database and hands its output to sink as one stream, which ends with
// io.EOF only if the tool exited with status 0 and wrote its end marker. Tables are read one after another in
// one transaction: the tools have no other way that is consistent.
func (e *Engine) Dump(ctx context.Context, src engine.Source, opts engine.DumpOptions, sink engine.Sink) (engine.Report, error) {
	op := fmt.Sprintf("dump database %q", src.Config.Database)
	s, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return engine.Report{}, err
	}
	defer s.close()
	dumper, doubts, err := e.tools.dumper(ctx, s.version)
	if err != nil {
		return engine.Report{}, err
	}
	plan, err := planDump(ctx, s, src.Config.Database, opts)
	if err != nil {
		return engine.Report{}, err
	}
	plain, err := e.isBytewise(ctx, s, dumper, src, opts)
	if err != nil {
		return engine.Report{}, err
	}
	s.close() // the dump may take hours
	stream := engine.Stream{Name: StreamName, Format: Format, Properties: plan.properties}
	stream.Properties[propToolVersion] = dumper.version.text
	env, err := newToolEnv(ctx, src, dumper, plan.ignored()...)
	if err != nil {
		return engine.Report{}, err
	}
	defer env.remove()
	command := env.command(dumper, src, slices.Concat(dumpArgs(dumper, plain), opts.ExtraArgs, []string{"--", src.Config.Database})...)
	command.IdleTimeout, command.OutputBuffer = opts.IdleTimeout, outputBuffer
	var texts bytewise
	stderr, err := process.Pull(ctx, command, func(ctx context.Context, r io.Reader) error {
		dump := newRecutter(r)
		if plain {
			dump.readBytewise(&texts)
		}
		dump.atEnd = func() { dump.countRows(stream.Properties) }
		return sink(ctx, stream, dump)
	})
	if texts.changed {
		e.changed.Store(placeOf(src), true)
	}
	if err != nil {
		return engine.Report{}, classifyTool(op, env.explain(err))
	}
	return engine.Report{
		ServerVersion: s.version.text,
		ToolVersions:  map[string]string{dumper.name(): dumper.version.text},
		Warnings:      append(append(doubts, plan.warnings...), warnings(stderr)...),
	}, nil
}

// dumpArgs are the tool's arguments. Nothing in a dump depends on when or where it was made, so that what
// did not change gives equal chunks. With plain they are those for isBytewise.
func dumpArgs(t tool, plain bool) []string {
	encoding := []string{"--hex-blob", "--default-character-set=utf8mb4"}
	if plain {
		// --hex-blob would take texts that are read in character set binary for binary data.
		encoding = []string{"--skip-hex-blob", "--default-character-set=binary"}
	}
	args := append(encoding,
		"--single-transaction", "--skip-lock-tables", "--quick", "--routines", "--triggers", "--events",
		"--skip-dump-date", "--skip-add-locks", "--no-tablespaces",
		fmt.Sprintf("--net-buffer-length=%d", packetBytes), "--max-allowed-packet=1G",
	)
	if t.version.mariadb {
		return args
	}
	// The stream is one database's: positions of replication have no meaning in it.
	args = append(args, "--set-gtid-purged=OFF")
	if t.version.atLeast(8, 0) {
		args = append(args, "--column-statistics=0") // unknown to older servers and MariaDB
	}
	return args
}
