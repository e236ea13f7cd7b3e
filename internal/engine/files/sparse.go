package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// sparseMap is where a file has data; everything else of it is a hole.
type sparseMap struct {
	regions []region
}

type region struct{ offset, length int64 }

// maxRegions bounds a map. A file in more pieces is read whole, with its holes as zeros.
const maxRegions = 100_000

// findHoles asks the file system for the map of a file. nil means that it is not worth one.
func findHoles(f *os.File, size int64) (*sparseMap, error) {
	m, fd := &sparseMap{}, int(f.Fd())
	for at := int64(0); at < size; {
		begin, err := unix.Seek(fd, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // a hole up to the end
		}
		if err != nil {
			return nil, nil //nolint:nilerr // the file system does not tell: the file is read whole
		}
		end, err := unix.Seek(fd, begin, unix.SEEK_HOLE)
		if err != nil {
			return nil, nil //nolint:nilerr // as above
		}
		end = min(end, size)
		if begin >= end || len(m.regions) == maxRegions {
			break
		}
		m.regions = append(m.regions, region{begin, end - begin})
		at = end
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if len(m.regions) == maxRegions || m.bytes() == size {
		return nil, nil
	}
	return m, nil
}

// bytes is how much data there is.
func (m *sparseMap) bytes() (total int64) {
	for _, r := range m.regions {
		total += r.length
	}
	return total
}

// text is the map as it stands before the data: decimal numbers, one a line, padded to whole blocks. A
// file that ends in a hole has an empty last region at its end.
func (m *sparseMap) text() []byte {
	text := strconv.AppendInt(nil, int64(len(m.regions)), 10)
	text = append(text, '\n')
	for _, r := range m.regions {
		text = append(strconv.AppendInt(text, r.offset, 10), '\n')
		text = append(strconv.AppendInt(text, r.length, 10), '\n')
	}
	return append(text, make([]byte, padded(int64(len(text)))-int64(len(text)))...)
}

// closeAt adds the empty region that tells the size.
func (m *sparseMap) closeAt(size int64) {
	if n := len(m.regions); n == 0 || m.regions[n-1].offset+m.regions[n-1].length < size {
		m.regions = append(m.regions, region{size, 0})
	}
}

// reader reads the regions one after the other.
func (m *sparseMap) reader(f *os.File) io.Reader {
	readers := make([]io.Reader, len(m.regions))
	for i, r := range m.regions {
		readers[i] = io.NewSectionReader(f, r.offset, r.length)
	}
	return io.MultiReader(readers...)
}

// parseSparse reads the map that text writes, for a file of size bytes of which data are stored.
func parseSparse(r io.Reader, size, data int64) (*sparseMap, error) {
	var block [blockSize]byte
	var line []byte
	var numbers []int64
	read, want := int64(0), int64(1)
	for int64(len(numbers)) < want {
		if read+blockSize > data {
			return nil, errors.New("the sparse map is longer than the entry")
		}
		if _, err := io.ReadFull(r, block[:]); err != nil {
			return nil, err
		}
		read += blockSize
		rest := block[:]
		for int64(len(numbers)) < want {
			before, after, found := bytes.Cut(rest, []byte{'\n'})
			line = append(line, before...)
			if !found {
				break
			}
			n, err := strconv.ParseInt(string(line), 10, 64)
			if err != nil || n < 0 {
				return nil, fmt.Errorf("%.40q in the sparse map is not a number", line)
			}
			if numbers = append(numbers, n); len(numbers) == 1 {
				if n > maxRegions+1 {
					return nil, fmt.Errorf("the sparse map has %d regions", n)
				}
				want += 2 * n
			}
			line, rest = line[:0], after
		}
	}
	m, end := &sparseMap{}, int64(0)
	for i := 1; i+1 < len(numbers); i += 2 {
		offset, length := numbers[i], numbers[i+1]
		if offset < end || length > size-offset {
			return nil, errors.New("a region of the sparse map is not in the file")
		}
		m.regions = append(m.regions, region{offset, length})
		end = offset + length
	}
	if m.bytes() != data-read {
		return nil, errors.New("the sparse map and the data do not fit")
	}
	return m, nil
}
