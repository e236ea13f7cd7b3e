package postgres

import (
	"context"
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
	var named []string
	has := map[string]bool{}
	for _, s := range d.streams {
		err := error(nil)
		switch {
		case s.Format == BundleFormat:
			err = d.read(ctx, open, s.Name, func(r io.Reader) error { return extract(r, dir, has) })
		case s.Name == tocName:
			err = d.read(ctx, open, s.Name, func(r io.Reader) error {
				checked := newTOCReader(r, func(files []string) { named = files })
				defer checked.w.stop()
				return writeFile(filepath.Join(dir, tocName), checked)
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
	for _, file := range named {
		if !has[file] {
			return nil, damaged(badArchive("%s is not there", file))
		}
	}
	slices.SortFunc(feeds, func(a, b feed) int { return a.id - b.id })
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

func (directoryDump) feed(open engine.Opener, name string) feed {
	id, err := strconv.Atoi(digits.FindString(name))
	if err != nil {
		id = 0 // it is only where it is looked for first
	}
	return feed{id: id, file: name, open: func(ctx context.Context) (io.ReadCloser, error) {
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
