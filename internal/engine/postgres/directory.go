package postgres

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// directoryDump is a dump in the directory format.
type directoryDump struct{ streams []engine.Stream }

// prepare writes the table of contents and the small files, and returns the feeds of the others.
func (d directoryDump) prepare(ctx context.Context, open engine.Opener, dir string) (feeds []feed, err error) {
	sizes := map[int]int64{}
	for _, s := range d.streams {
		if tableFile.MatchString(s.Name) {
			sizes[fileID(s.Name)] = s.Bytes
		}
	}
	rename := largestFirst(sizes)
	var toc converted
	has := map[string]bool{}
	for _, s := range d.streams {
		err := error(nil)
		switch {
		case s.Format == BundleFormat:
			err = d.read(ctx, open, s.Name, func(r io.Reader) error { return extract(r, dir, has) })
		case s.Name == tocName:
			err = d.read(ctx, open, s.Name, func(r io.Reader) error {
				toc, err = writeDirectoryTOC(r, filepath.Join(dir, tocName), rename)
				return err
			})
		case s.Format != DirectoryFormat || !dumpFile.MatchString(s.Name):
			err = failure.New(failure.Unsupported, "read the backup", "nothing is known of stream "+strconv.Quote(s.Name), "")
		default:
			feeds = append(feeds, d.feed(open, s.Name))
		}
		if err != nil {
			return nil, err
		}
	}
	for _, f := range feeds {
		if has[f.file] {
			return nil, damaged(badArchive("%s is there twice", f.file))
		}
		has[f.file] = true
	}
	for _, e := range toc.withData {
		if !has[e.file] {
			return nil, damaged(badArchive("%s is not there", e.file))
		}
	}
	slices.SortFunc(feeds, func(a, b feed) int { return order(rename, a.id) - order(rename, b.id) })
	return feeds, nil
}

func (directoryDump) read(ctx context.Context, open engine.Opener, name string, use func(io.Reader) error) error {
	r, err := open(ctx, name, 0)
	if err != nil {
		return failure.Wrap(failure.ClassOf(err), "open the backup", err, "")
	}
	defer r.Close()
	return use(r)
}

var digits = regexp.MustCompile(`[0-9]+`)

// fileID is the number in the name of a file: the dump id of a table.
func fileID(name string) int {
	id, err := strconv.Atoi(digits.FindString(name))
	if err != nil {
		return 0
	}
	return id
}

// order is where a file is looked for; large objects have no place among the tables.
func order(rename map[int]int, id int) int {
	if renamed, ok := rename[id]; ok {
		return renamed
	}
	return id
}

// writeDirectoryTOC writes the stored toc.dat with other dump ids.
func writeDirectoryTOC(r io.Reader, path string, rename map[int]int) (converted, error) {
	var text bytes.Buffer
	if _, err := text.ReadFrom(r); err != nil {
		return converted{}, err
	}
	whole, out := bytes.NewReader(text.Bytes()), &bytes.Buffer{}
	toc, err := convertTOC(whole, out, tarFormat, rename)
	switch {
	case errors.Is(err, errUnknownVersion): // as it is
		out = &text
	case err != nil:
		return toc, err
	}
	return toc, writeFile(path, out)
}

func (directoryDump) feed(open engine.Opener, name string) feed {
	return feed{id: fileID(name), file: name, open: func(ctx context.Context) (io.ReadCloser, error) {
		r, err := open(ctx, name, 0)
		if err != nil {
			return nil, failure.Wrap(failure.ClassOf(err), "open the backup", err, "")
		}
		return struct {
			io.Reader
			io.Closer
		}{markedReader(name, r), r}, nil
	}}
}
