package postgres

import (
	"archive/tar"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// fileReader gives the files of a stream one after the other: of a bundle, or the one that the stream is.
type fileReader struct {
	name    string
	content io.Reader

	r      io.Reader
	bundle *tar.Reader     // nil: the stream is one file
	left   map[string]bool // files that did not come yet
}

func filesIn(s engine.Stream, r io.Reader) *fileReader {
	f := &fileReader{r: r, left: map[string]bool{}}
	if s.Format == BundleFormat {
		f.bundle = tar.NewReader(r)
	}
	for _, name := range filesOf(s) {
		f.left[name] = true
	}
	return f
}

// next goes to the next file; false is the end, at which every one of them has come.
func (f *fileReader) next() (more bool, err error) {
	switch {
	case f.bundle != nil:
		f.name, f.content, err = nextInBundle(f.bundle, f.r)
	case len(f.left) > 0:
		f.name = slices.Collect(maps.Keys(f.left))[0]
		f.content = markedReader(f.name, f.r)
	default:
		f.name = ""
	}
	switch {
	case err != nil:
		return false, err
	case f.name == "" && len(f.left) > 0:
		return false, damaged(badArchive("%s is not there", slices.Min(slices.Collect(maps.Keys(f.left)))))
	case f.name != "" && !f.left[f.name]:
		return false, damaged(badArchive("%s is there twice, or where nobody knows of it", f.name))
	}
	delete(f.left, f.name)
	return f.name != "", nil
}

// objects hands on the large objects from here on, and goes to the file behind them.
func (f *fileReader) objects(put func(oid uint32, content io.Reader) error) (more bool, err error) {
	for more = true; more && err == nil; {
		var oid uint32
		if _, err := fmt.Sscanf(f.name, "blob_%d.dat", &oid); err != nil {
			return true, nil //nolint:nilerr // it is something else
		}
		if err := put(oid, f.content); err != nil {
			return false, err
		}
		more, err = f.next()
	}
	return more, err
}
