package postgres

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// directoryDump is a dump in the directory format.
type directoryDump struct {
	streams []engine.Stream
	open    engine.Opener
	choose  func(*contents) error
}

// prepare writes the table of contents and the small files, and returns the batches of the data.
func (d directoryDump) prepare(ctx context.Context, dir string) (toc contents, batches []batch, err error) {
	files := &dumpFiles{dir: dir, d: d, sizes: map[string]int64{}, streamed: map[string]bool{}}
	for _, s := range d.streams {
		switch {
		case s.Format == BundleFormat:
			err = d.read(ctx, s.Name, func(r io.Reader) error { return files.extract(r) })
		case s.Name == tocName:
			err = d.read(ctx, s.Name, func(r io.Reader) error {
				toc, err = writeDirectoryTOC(r, filepath.Join(dir, tocName))
				return err
			})
		default:
			err = files.addStream(s)
		}
		if err != nil {
			return toc, nil, err
		}
	}
	for _, e := range toc.withData {
		if _, ok := files.sizes[e.file]; !ok {
			return toc, nil, damaged(badArchive("%s is not there", e.file))
		}
	}
	if err := d.choose(&toc); err != nil {
		return toc, nil, err
	}
	return toc, files.divide(toc.withData), nil
}

// spool writes the whole dump to disk: all that can be done with one whose structure is not known.
func (d directoryDump) spool(ctx context.Context, dir string) error {
	files := &dumpFiles{dir: dir, d: d, sizes: map[string]int64{}, streamed: map[string]bool{}}
	for _, s := range d.streams {
		err := d.read(ctx, s.Name, func(r io.Reader) error {
			if s.Format == BundleFormat {
				return files.extract(r)
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

// dumpFiles are the files of a dump, each a stream of the backup or in the directory.
type dumpFiles struct {
	dir      string
	d        directoryDump
	sizes    map[string]int64 // bytes
	streamed map[string]bool
}

func (f *dumpFiles) addStream(s engine.Stream) error {
	if s.Format != DirectoryFormat || !dumpFile.MatchString(s.Name) {
		return failure.New(failure.Unsupported, "read the backup", "nothing is known of stream "+strconv.Quote(s.Name), "")
	}
	f.streamed[s.Name] = true
	return f.add(s.Name, s.Bytes)
}

func (f *dumpFiles) add(name string, size int64) error {
	if _, twice := f.sizes[name]; twice {
		return damaged(badArchive("%s is there twice", name))
	}
	f.sizes[name] = size
	return nil
}

// extract takes an archive of small files.
func (f *dumpFiles) extract(r io.Reader) error { return extract(r, f.dir, f.add) }

// read opens one of the files.
func (f *dumpFiles) read(ctx context.Context, name string, use func(io.Reader) error) error {
	if _, ok := f.sizes[name]; !ok {
		return damaged(badArchive("%s is not there", name))
	}
	if f.streamed[name] {
		return f.d.read(ctx, name, func(r io.Reader) error { return use(markedReader(name, r)) })
	}
	file, err := os.Open(filepath.Join(f.dir, name)) //nolint:gosec // its name was checked (dumpFile)
	if err != nil {
		return tempFailure(err)
	}
	defer file.Close()
	return use(markedReader(name, file))
}

// divide makes batches: a stream is one of its own, small files go together.
func (f *dumpFiles) divide(withData []entry) (batches []batch) {
	var some []entry
	size := int64(0)
	flush := func() {
		if these := some; len(these) > 0 {
			batches = append(batches, batch{size: size, feed: func(ctx context.Context, to receiver) error { return f.feed(ctx, these, to) }})
		}
		some, size = nil, 0
	}
	for _, e := range withData {
		if f.streamed[e.file] || e.kind == largeKind {
			batches = append(batches, batch{size: f.sizes[e.file], only: e, feed: func(ctx context.Context, to receiver) error { return f.feed(ctx, []entry{e}, to) }})
			continue
		}
		if some, size = append(some, e), size+f.sizes[e.file]; size > batchBytes {
			flush()
		}
	}
	flush()
	return batches
}

func (f *dumpFiles) feed(ctx context.Context, entries []entry, to receiver) error {
	for _, e := range entries {
		err := f.read(ctx, e.file, func(r io.Reader) error {
			if e.kind != largeKind {
				return to.table(ctx, e, r)
			}
			return to.largeObjects(ctx, func(put func(uint32, io.Reader) error) error { return f.objects(ctx, r, put) })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// objects reads a list of large objects, a line "oid file" each, and hands on their content.
func (f *dumpFiles) objects(ctx context.Context, list io.Reader, put func(oid uint32, content io.Reader) error) error {
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		var oid uint32
		var name string
		if _, err := fmt.Sscanf(lines.Text(), "%d %s", &oid, &name); err != nil || !dumpFile.MatchString(name) {
			return damaged(badArchive("%.80q is no large object", lines.Text()))
		}
		if err := f.read(ctx, name, func(r io.Reader) error { return put(oid, r) }); err != nil {
			return err
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
