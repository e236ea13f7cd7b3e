package postgres

import (
	"bufio"
	"context"
	"io"
	"os"
	"regexp"
	"strconv"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// tableData is a line of pg_restore --list: dump id; catalog oid, oid, kind, …
var tableData = regexp.MustCompile(`^\d+; \d+ \d+ TABLE DATA `)

// Inspect lets pg_restore list the stream and counts the tables that have data in it. pg_restore
// reads no further than the table of contents, so the rest is followed block by block here: a dump
// that ends early is failure.Corrupt.
func (e *Engine) Inspect(ctx context.Context, s engine.Stream, r io.Reader) (int, error) {
	if _, err := streamOf([]engine.Stream{s}); err != nil {
		return 0, err
	}
	lister, err := e.tools.atLeast(ctx, "pg_restore", archiveMajor(s))
	if err != nil {
		return 0, err
	}
	checked := &walked{r: r, w: newWalker()}
	defer checked.w.stop()
	tables, err := list(ctx, lister, checked)
	if err != nil {
		return 0, classifyTool("list the dump", err)
	}
	if checked.found.known && checked.found.tables != tables {
		return 0, failure.New(failure.Corrupt, "list the dump",
			"pg_restore lists "+strconv.Itoa(tables)+" tables with data, the dump holds "+strconv.Itoa(checked.found.tables), "")
	}
	return tables, nil
}

// list counts what pg_restore --list prints while the archive is pushed into it.
func list(ctx context.Context, lister tool, archive io.Reader) (tables int, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return 0, failure.Wrap(failure.Unknown, "make a pipe", err, "Raise the limit of open files.")
	}
	counted := make(chan error, 1)
	go func() {
		defer read.Close()
		var err error
		tables, err = countTables(read)
		counted <- err
	}()
	_, err = process.Push(ctx, process.Command{
		Path: lister.path, Args: []string{"--list", "--format=custom"}, Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}, Stdout: write,
	}, archive)
	write.Close()
	countErr := <-counted
	if err == nil {
		err = countErr
	}
	return tables, err
}

func countTables(r io.Reader) (int, error) {
	count := 0
	reader := bufio.NewReader(r)
	for {
		line, err := reader.ReadString('\n')
		if tableData.MatchString(line) {
			count++
		}
		if err == io.EOF {
			return count, nil
		}
		if err != nil {
			return count, err
		}
	}
}

var leadingDigits = regexp.MustCompile(`^\d+`)

// archiveMajor is the major version of the pg_dump that wrote a stream, 0 unknown.
func archiveMajor(s engine.Stream) int {
	major, err := strconv.Atoi(leadingDigits.FindString(s.Properties[propToolVersion]))
	if err != nil {
		return 0
	}
	return major
}
