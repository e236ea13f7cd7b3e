package postgres

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// directoryDump is a dump in the directory format.
type directoryDump struct {
	streams []engine.Stream
	open    engine.Opener
	choose  func(*contents) error
}

// prepare writes the table of contents and returns the batches of the data, all of which is loaded straight from the backup.
func (d directoryDump) prepare(ctx context.Context, dir string) (toc contents, batches []batch, err error) {
	files := &dumpFiles{d: d, in: map[string]engine.Stream{}}
	for _, s := range d.streams {
		if s.Name == tocName {
			err = d.read(ctx, s.Name, func(r io.Reader) error {
				toc, err = writeDirectoryTOC(r, filepath.Join(dir, tocName))
				return err
			})
		} else {
			err = files.add(s)
		}
		if err != nil {
			return toc, nil, err
		}
	}
	for _, e := range toc.withData {
		if _, ok := files.in[e.file]; !ok {
			return toc, nil, damaged(badArchive("%s is not there", e.file))
		}
	}
	if err := d.choose(&toc); err != nil {
		return toc, nil, err
	}
	return toc, files.divide(toc.withData), nil
}

// spool writes the whole dump to disk: all that can be done with one whose structure is not known. One that has no room there
// is refused before anything is read.
func (d directoryDump) spool(ctx context.Context, dir string) error {
	var needed int64
	for _, s := range d.streams {
		needed += s.Bytes
	}
	if err := process.RequireSpace(dir, needed); err != nil {
		return err
	}
	for _, s := range d.streams {
		err := d.read(ctx, s.Name, func(r io.Reader) error {
			if s.Format == BundleFormat {
				return readBundle(r, func(name string, content io.Reader) error { return writeFile(filepath.Join(dir, name), content) })
			}
			return writeFile(filepath.Join(dir, filepath.Base(s.Name)), r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (d directoryDump) read(ctx context.Context, name string, use func(io.Reader) error) error {
	r, err := d.open(ctx, name, 0)
	if err != nil {
		return failure.Wrap(failure.ClassOf(err), "open the backup", err, "")
	}
	defer r.Close()
	return use(r)
}

// dumpFiles are the files of a dump, each a stream of the backup or in one with others.
type dumpFiles struct {
	d       directoryDump
	in      map[string]engine.Stream // by the file's name
	tables  map[string]entry         // whose data is loaded, by the file's name
	objects bool                     // large objects are loaded
}

// add takes the files of a stream.
func (f *dumpFiles) add(s engine.Stream) error {
	for _, name := range filesOf(s) {
		if !dumpFile.MatchString(name) || (s.Format != DirectoryFormat && s.Format != BundleFormat) {
			return failure.New(failure.Unsupported, "read the backup", "nothing is known of stream "+strconv.Quote(s.Name), "")
		}
		if _, twice := f.in[name]; twice {
			return damaged(badArchive("%s is there twice", name))
		}
		f.in[name] = s
	}
	return nil
}

// filesOf are the files that a stream consists of.
func filesOf(s engine.Stream) []string {
	if s.Format != BundleFormat {
		return []string{s.Name}
	}
	return strings.Split(s.Properties[propFiles], "\n")
}

// divide makes a batch of each stream that holds something that is loaded.
func (f *dumpFiles) divide(withData []entry) (batches []batch) {
	f.tables = map[string]entry{}
	for _, e := range withData {
		if f.objects = f.objects || e.kind == largeKind; e.kind != largeKind {
			f.tables[e.file] = e
		}
	}
	for _, s := range f.d.streams {
		if s.Name == tocName || !slices.ContainsFunc(filesOf(s), f.wanted) {
			continue
		}
		b := batch{size: s.Bytes, only: f.tables[s.Name], feed: func(ctx context.Context, to receiver) error { return f.feed(ctx, s, to) }}
		batches = append(batches, b)
	}
	return batches
}

func (f *dumpFiles) wanted(file string) bool {
	_, table := f.tables[file]
	return table || f.objects && !tableFile.MatchString(file)
}

// feed hands on what is loaded of a stream's files.
func (f *dumpFiles) feed(ctx context.Context, s engine.Stream, to receiver) error {
	return f.d.read(ctx, s.Name, func(r io.Reader) error {
		files := filesIn(s, r)
		more, err := files.next()
		for more && err == nil {
			e, table := f.tables[files.name]
			switch {
			case table:
				err = to.table(ctx, e, files.content)
			case f.objects && objectFile.MatchString(files.name): // it goes on behind them
				err = to.largeObjects(ctx, func(put func(oid uint32, content io.Reader) error) (err error) {
					more, err = files.objects(put)
					return err
				})
				continue
			case f.objects && !tableFile.MatchString(files.name):
				err = f.checkList(files.content)
			}
			if err == nil {
				more, err = files.next()
			}
		}
		return err
	})
}

// checkList reads a list of large objects, a line "oid file" each. They are found by the names of their files, all of which
// are loaded; what is left to see is that there is one for each.
func (f *dumpFiles) checkList(list io.Reader) error {
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		var oid uint32
		var name string
		if _, err := fmt.Sscanf(lines.Text(), "%d %s", &oid, &name); err != nil || name != fmt.Sprintf("blob_%d.dat", oid) {
			return damaged(badArchive("%.80q is no large object", lines.Text()))
		}
		if _, ok := f.in[name]; !ok {
			return damaged(badArchive("%s is not there", name))
		}
	}
	return lines.Err()
}

// writeDirectoryTOC writes the stored toc.dat and says what is in it.
func writeDirectoryTOC(r io.Reader, path string) (contents, error) {
	var text bytes.Buffer
	if _, err := text.ReadFrom(r); err != nil {
		return contents{}, err
	}
	toc, err := convertTOC(bytes.NewReader(text.Bytes()), io.Discard, tarFormat)
	if err != nil {
		return toc, err
	}
	return toc, writeFile(path, &text)
}
