package postgres

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// DirectoryFormat names what reads toc.dat and the files beside it: pg_restore --format=directory.
// BundleFormat is a tar archive of such files.
const (
	DirectoryFormat = "pg_dump-directory"
	BundleFormat    = "pg_dump-directory-tar"
)

const (
	tocName = "toc.dat"
	// bundleBytes is how many bytes of small files make an archive.
	bundleBytes = 64 << 20
)

// tableFile is a file with the data of a table, objectFile one with a large object; dumpFile is every file beside toc.dat.
var (
	tableFile  = regexp.MustCompile(`^[0-9]+\.dat$`)
	objectFile = regexp.MustCompile(`^blob_[0-9]+\.dat$`)
	dumpFile   = regexp.MustCompile(`^([0-9]+\.dat|blob_[0-9]+\.dat|blobs(_[0-9]+)?\.toc)$`)
)

// flushSmall stores the small files as one archive when they are more than enough bytes, sorted by
// name: the same tables then make the same bytes in every backup.
func (d *dirDump) flushSmall(enough int64) {
	var size int64
	for _, g := range d.small {
		size += g.size.Load()
	}
	if len(d.small) == 0 || size < enough {
		return
	}
	files := d.small
	d.small = nil
	slices.SortFunc(files, func(a, b *growing) int { return strings.Compare(a.name, b.name) })
	d.bundle++
	stream := engine.Stream{Name: fmt.Sprintf("small-%04d.tar", d.bundle), Format: BundleFormat}
	names := make([]string, len(files))
	for i, g := range files {
		names[i] = g.name
	}
	stream.Properties = map[string]string{propFiles: strings.Join(names, "\n")}
	d.inSlot(func() error {
		read, write := io.Pipe()
		written := make(chan struct{})
		go func() {
			defer close(written)
			rows := map[string]int64{}
			for _, g := range files {
				g.ofRows = func(file string, n int64) { rows[file] = n }
			}
			err := writeBundle(d.ctx, write, files)
			engine.SetRows(stream.Properties, rows) // before the reader sees the end
			write.CloseWithError(err)
		}()
		err := d.sink(d.ctx, stream, read)
		read.CloseWithError(errStreamsEnded)
		<-written
		for _, g := range files {
			g.remove()
		}
		return err
	})
}

func writeBundle(ctx context.Context, w io.Writer, files []*growing) error {
	bundle := tar.NewWriter(w)
	for _, g := range files {
		if err := bundle.WriteHeader(&tar.Header{Name: g.name, Mode: 0o600, Size: g.size.Load(), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		if _, err := io.Copy(bundle, g.reader(ctx)); err != nil {
			return err
		}
	}
	return bundle.Close()
}

// readBundle gives each file of an archive to visit.
func readBundle(r io.Reader, visit func(name string, content io.Reader) error) error {
	bundle := tar.NewReader(r)
	for {
		name, content, err := nextInBundle(bundle, r)
		if err == nil && name != "" {
			err = visit(name, content)
		}
		if err != nil || name == "" {
			return err
		}
	}
}

// nextInBundle goes to the next file of the archive that bundle reads from r; "" is the end of both.
func nextInBundle(bundle *tar.Reader, r io.Reader) (name string, content io.Reader, err error) {
	header, err := bundle.Next()
	if errors.Is(err, io.EOF) {
		_, err := io.Copy(io.Discard, r)
		return "", nil, err
	}
	if err == nil && (header.Typeflag != tar.TypeReg || !dumpFile.MatchString(header.Name)) {
		err = badArchive("%.80q is no file of a dump", header.Name)
	}
	if err != nil {
		return "", nil, bundleError(err)
	}
	return header.Name, markedReader(header.Name, bundled{bundle}), nil
}

// bundled is the content of a file, whose errors tell of damage.
type bundled struct{ r io.Reader }

func (b bundled) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = bundleError(err)
	}
	return n, err
}

func bundleError(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCutShort
	}
	return damaged(err)
}

// markedReader passes the content of a file on; that of a table has to end with its mark.
func markedReader(name string, r io.Reader) io.Reader {
	if !tableFile.MatchString(name) {
		return r
	}
	return &marked{r: r}
}

type marked struct {
	r    io.Reader
	tail []byte
}

func (m *marked) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.tail = append(m.tail, p[max(0, n-len(endMark)):n]...)
	m.tail = m.tail[max(0, len(m.tail)-len(endMark)):]
	if errors.Is(err, io.EOF) && string(m.tail) != endMark {
		return n, damaged(errCutShort)
	}
	return n, err
}

// storeTOC stores the table of contents, and notes the files that it names.
func (d *dirDump) storeTOC(g *growing) error {
	defer g.remove()
	checked := newTOCReader(g.reader(d.ctx), func(files, tables []string) {
		d.tocFiles = files
		d.toc.Properties[propFiles] = strings.Join(files, "\n")
		d.toc.Properties[propTables] = strings.Join(tables, "\n")
	})
	defer checked.w.stop()
	return d.sink(d.ctx, d.toc, checked)
}

// newTOCReader passes toc.dat through a walker; atEnd is told the files that it names, and which of them holds
// which table: a line "file, tab, name" each.
func newTOCReader(r io.Reader, atEnd func(files, tables []string)) *walked {
	var files, tables []string
	walker := newWalkerOf(func(w *walker) (summary, error) {
		a := archiveReader{walker: w, format: tarFormat}
		known, err := a.header()
		if err != nil || !known {
			for err == nil && !w.atEnd() {
				w.pending = nil
			}
			return summary{}, err
		}
		found := summary{known: true}
		err = a.contents(func(e entry) error {
			found.count(e)
			if !e.hasData {
				return nil
			}
			if !dumpFile.MatchString(e.file) {
				return badArchive("%.80q is no file of a dump", e.file)
			}
			files = append(files, e.file)
			if e.kind == tableDataKind {
				tables = append(tables, e.file+"\t"+tableName(e.namespace, e.tag))
			}
			return nil
		})
		if err == nil && !w.atEnd() {
			err = badArchive("something follows the table of contents")
		}
		return found, err
	})
	return &walked{r: r, w: walker, atEnd: func(summary) { atEnd(files, tables) }}
}
