package postgres

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// GlobalsName is the stream of the roles and tablespaces of a server; GlobalsFormat names what reads it: psql.
const (
	GlobalsName   = "roles.sql"
	GlobalsFormat = "pg_dumpall-globals"
)

var (
	_ engine.DatabaseLister = (*Engine)(nil)
	_ engine.GlobalsDumper  = (*Engine)(nil)
)

// DumpGlobals dumps roles, their memberships and settings, and tablespaces with pg_dumpall. A user who
// may not read the passwords of roles gets them without, and a warning.
func (e *Engine) DumpGlobals(ctx context.Context, src engine.Source, sink engine.Sink) ([]string, error) {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	server, err := serverVersion(ctx, conn)
	if err != nil {
		return nil, err
	}
	dumper, err := e.tools.atLeast(ctx, "pg_dumpall", server.major())
	if err != nil {
		return nil, err
	}
	args := []string{"--globals-only", "--no-password"}
	var warnings []string
	var mayReadPasswords bool
	if err := conn.QueryRow(ctx, "select has_table_privilege('pg_catalog.pg_authid', 'SELECT')").Scan(&mayReadPasswords); err != nil {
		return nil, classify("ask for the user's rights", err)
	}
	if !mayReadPasswords {
		args = append(args, "--no-role-passwords")
		warnings = append(warnings, "the roles are backed up without their passwords, which only a superuser may read")
	}
	env, err := newToolEnv(src, anyDatabase)
	if err != nil {
		return nil, err
	}
	defer env.remove()
	_, err = process.Pull(ctx, process.Command{
		Path: dumper.path, Args: args, Env: env.vars, Secrets: src.Config.SecretValues(),
	}, func(ctx context.Context, r io.Reader) error {
		stream := engine.Stream{Name: GlobalsName, Format: GlobalsFormat, Properties: map[string]string{
			propServerVersion: server.text, propToolVersion: dumper.version,
		}}
		return sink(ctx, stream, &endsWith{r: r, marker: globalsEnd})
	})
	return warnings, classifyTool("dump the roles", err)
}

var globalsEnd = []byte("-- PostgreSQL database cluster dump complete\n")

// inspectGlobals reads a dump of globals to its end marker. It lists no table.
func inspectGlobals(r io.Reader) error {
	const start = "--\n-- PostgreSQL database cluster dump\n"
	buffered := bufio.NewReader(r)
	if head, err := buffered.Peek(len(start)); err == nil && string(head) != start {
		return badGlobals("it does not begin as one")
	}
	_, err := io.Copy(io.Discard, &endsWith{r: buffered, marker: globalsEnd})
	return err
}

func badGlobals(what string) error {
	return failure.New(failure.Corrupt, "read the dump of the roles", what, "The dump is not whole; make another backup.")
}

// endsWith reads a text that has to end with marker and at most a few lines of comment after it. If it
// does not, the read that would return io.EOF returns failure.Corrupt.
type endsWith struct {
	r      io.Reader
	marker []byte
	tail   []byte // the last bytes that were read
}

const markerRoom = 16 // bytes of "--" and empty lines after the marker

func (e *endsWith) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.tail = append(e.tail, p[:n]...)
	if keep := len(e.marker) + markerRoom; len(e.tail) > keep {
		e.tail = append(e.tail[:0], e.tail[len(e.tail)-keep:]...)
	}
	if errors.Is(err, io.EOF) {
		at := bytes.LastIndex(e.tail, e.marker)
		if at < 0 || len(bytes.Trim(e.tail[at+len(e.marker):], "-\n\r ")) > 0 {
			return n, badGlobals("it ends before its end marker")
		}
	}
	return n, err
}
