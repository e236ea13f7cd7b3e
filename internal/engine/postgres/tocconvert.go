package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// tocHeadFormat is where the header says which format the archive has: behind the magic, three bytes
// of version, and the sizes of numbers and offsets.
const tocHeadFormat = len(magic) + 5

// contents is what is left to know of a table of contents.
type contents struct {
	all       []entry         // without definitions
	early     []int           // dump ids of the definitions of tables, and what they need, that are restored; nil is all
	objects   []int           // dump ids of what makes the large objects where no definition does
	withData  []entry         // each with the name of its file
	later     []int           // dump ids of what comes after the definitions of the tables, without any data
	tables    map[int]bool    // dump ids of the tables that the dump defines
	mayFollow map[int][]entry // of what comes later, what needs only a table, by its dump id
	session   []string        // statements that the session has to begin with
	numbers   int             // bytes of a number in the archive, without its sign
}

// add takes an entry in.
func (c *contents) add(e entry) {
	light := e
	light.definition, light.copyInto = "", ""
	c.all = append(c.all, light)
	switch e.kind {
	case "ENCODING", "STDSTRINGS", "SEARCHPATH":
		c.session = append(c.session, e.definition)
		return
	case tableKind:
		c.tables[e.id] = true
	}
	switch {
	case e.section <= sectionPreData || e.kind == tableDataKind || e.kind == largeKind:
	case e.kind == makeLargeKind:
		c.objects = append(c.objects, e.id)
	default:
		c.later = append(c.later, e.id)
		if table := e.followed(c.tables); table != 0 {
			c.mayFollow[table] = append(c.mayFollow[table], e)
		}
	}
	if e.hasData {
		c.withData = append(c.withData, e)
	}
}

// convertTOC reads the table of contents of an archive of either format from r and writes it to w as the
// toc.dat of the directory format. Nothing else differs between the two but where each entry's data
// is. A version whose structure is not known is errUnknownVersion.
func convertTOC(r io.Reader, w io.Writer, format byte) (toc contents, err error) {
	toc.tables, toc.mayFollow = map[int]bool{}, map[int][]entry{}
	walker := newWalkerOf(func(walker *walker) (summary, error) {
		walker.copied = &bytes.Buffer{}
		a := archiveReader{walker: walker, format: format, section: sectionPreData}
		known, err := a.header()
		if err != nil {
			return summary{}, err
		}
		if !known {
			return summary{}, errUnknownVersion
		}
		walker.copied.Bytes()[tocHeadFormat] = tarFormat
		toc.numbers = a.intSize
		err = a.contents(func(e entry) error {
			if format == customFormat {
				walker.copied.Truncate(walker.copied.Len() - 1 - a.offSize)
				if e.hasData {
					e.file = a.fileOf(e)
				}
				a.appendText(e.file)
			}
			if e.hasData && !dumpFile.MatchString(e.file) {
				return badArchive("%.80q is no file of a dump", e.file)
			}
			toc.add(e)
			_, err := walker.copied.WriteTo(w)
			return err
		})
		if err == nil {
			_, err = walker.copied.WriteTo(w)
		}
		return summary{}, err
	})
	defer walker.stop()
	buffer := make([]byte, 64<<10)
	for !walker.done {
		n, readErr := r.Read(buffer)
		if _, err := walker.Write(buffer[:n]); err != nil {
			return toc, corruptTOC(err)
		}
		if errors.Is(readErr, io.EOF) && !walker.done {
			return toc, corruptTOC(errCutShort)
		}
		if readErr != nil && !walker.done {
			return toc, readErr
		}
	}
	return toc, nil
}

var errUnknownVersion = errors.New("an archive of a version that is not known")

func corruptTOC(err error) error {
	if errors.Is(err, errUnknownVersion) {
		return err
	}
	return failure.Wrap(failure.Corrupt, "read the table of contents of the dump", err, "The dump is damaged; restore another backup.")
}

// fileOf names the file with an entry's data as pg_dump does.
func (a *archiveReader) fileOf(e entry) string {
	switch {
	case e.kind != largeKind:
		return fmt.Sprintf("%d.dat", e.id)
	case a.version < versionRelKind:
		return "blobs.toc"
	default:
		return fmt.Sprintf("blobs_%d.toc", e.id)
	}
}

func (a *archiveReader) appendNumber(n int) {
	number := binary.LittleEndian.AppendUint64(make([]byte, 0, 8), uint64(n)) //nolint:gosec // not negative
	a.copied.WriteByte(0)
	a.copied.Write(number[:a.intSize])
}

// appendText adds a string in the archive's encoding to the copy.
func (a *archiveReader) appendText(text string) {
	a.appendNumber(len(text))
	a.copied.WriteString(text)
}
