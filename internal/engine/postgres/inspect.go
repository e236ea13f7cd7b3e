package postgres

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

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
	switch s.Format {
	case Format:
		return e.inspectCustom(ctx, s, r)
	case BundleFormat:
		return 0, readBundle(r, func(_ string, content io.Reader) error {
			_, err := io.Copy(io.Discard, content)
			return err
		})
	case DirectoryFormat:
		if s.Name == tocName {
			return e.inspectTOC(ctx, s, r)
		}
		_, err := io.Copy(io.Discard, struct{ io.Reader }{markedReader(s.Name, r)})
		return 0, err
	case GlobalsFormat:
		return 0, inspectGlobals(r)
	}
	return 0, failure.New(failure.Unsupported, "list the dump", "nothing is known of format "+strconv.Quote(s.Format), "")
}

// inspectTOC lets pg_restore list a table of contents, and follows it to its end.
func (e *Engine) inspectTOC(ctx context.Context, s engine.Stream, r io.Reader) (int, error) {
	lister, err := e.tools.atLeast(ctx, "pg_restore", archiveMajor(s))
	if err != nil {
		return 0, err
	}
	dir, err := process.NewPrivateDir()
	if err != nil {
		return 0, err
	}
	defer dir.Remove()
	checked := newTOCReader(r, func([]string, []string) {})
	defer checked.w.stop()
	if err := writeFile(filepath.Join(dir.Path, tocName), checked); err != nil {
		return 0, err
	}
	tables, err := list(ctx, lister, strings.NewReader(""), "--format=directory", dir.Path)
	if err != nil {
		return 0, classifyTool("list the dump", err)
	}
	return checked.sameTables(tables)
}

// sameTables compares what pg_restore lists with what was found while reading.
func (s *walked) sameTables(listed int) (int, error) {
	if s.found.known && s.found.tables != listed {
		return 0, failure.New(failure.Corrupt, "list the dump",
			"pg_restore lists "+strconv.Itoa(listed)+" tables with data, the dump holds "+strconv.Itoa(s.found.tables), "")
	}
	return listed, nil
}

func (e *Engine) inspectCustom(ctx context.Context, s engine.Stream, r io.Reader) (int, error) {
	lister, err := e.tools.atLeast(ctx, "pg_restore", archiveMajor(s))
	if err != nil {
		return 0, err
	}
	checked := &walked{r: r, w: newWalker()}
	defer checked.w.stop()
	tables, err := list(ctx, lister, checked, "--format=custom")
	if err != nil {
		return 0, classifyTool("list the dump", err)
	}
	return checked.sameTables(tables)
}

// list counts what pg_restore --list prints while the archive is pushed into it.
func list(ctx context.Context, lister tool, archive io.Reader, args ...string) (tables int, err error) {
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
		Path: lister.path, Args: append([]string{"--list"}, args...), Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}, Stdout: write,
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
