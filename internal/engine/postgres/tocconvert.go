package postgres

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// tocHeadFormat is where the header says which format the archive has: behind the magic, three bytes
// of version, and the sizes of numbers and offsets.
const tocHeadFormat = len(magic) + 5

// converted is what is left to know of a table of contents.
type converted struct {
	withData []entry // each with the name of its file
	numbers  int     // bytes of a number in the archive, without its sign
}

// convertTOC reads the table of contents of an archive of either format from r and writes it to w as the
// toc.dat of the directory format. Nothing else differs between the two but where each entry's data
// is. Entries get the dump ids of rename, here and where others depend on them. A version whose structure is not known is errUnknownVersion.
func convertTOC(r io.Reader, w io.Writer, format byte, rename map[int]int) (toc converted, err error) {
	walker := newWalkerOf(func(walker *walker) (summary, error) {
		walker.copied = &bytes.Buffer{}
		a := archiveReader{walker: walker, format: format, rename: rename}
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
			if e.hasData {
				if !dumpFile.MatchString(e.file) {
					return badArchive("%.80q is no file of a dump", e.file)
				}
				toc.withData = append(toc.withData, e)
			}
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

// renameNumber replaces the number that was just copied.
func (a *archiveReader) renameNumber(id int) {
	if renamed, ok := a.rename[id]; ok {
		a.copied.Truncate(a.copied.Len() - 1 - a.intSize)
		a.appendNumber(renamed)
	}
}

// renameText replaces the dump id that was just copied as a text.
func (a *archiveReader) renameText(id string) {
	if number, err := strconv.Atoi(id); err == nil {
		if renamed, ok := a.rename[number]; ok {
			a.copied.Truncate(a.copied.Len() - 1 - a.intSize - len(id))
			a.appendText(strconv.Itoa(renamed))
		}
	}
}

// largestFirst gives the dump ids of tables to each other, so that a larger table has a lower one:
// pg_restore takes them in that order, because a pipe has no size that it could look at.
func largestFirst(sizes map[int]int64) map[int]int {
	ids := slices.Sorted(maps.Keys(sizes))
	bySize := slices.Clone(ids)
	slices.SortStableFunc(bySize, func(a, b int) int { return cmp.Compare(sizes[b], sizes[a]) })
	rename := make(map[int]int, len(ids))
	for i, id := range bySize {
		rename[id] = ids[i]
	}
	return rename
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
