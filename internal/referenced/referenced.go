// Package referenced turns the files that rows of a database point to into one stream of a backup, and back. The
// stream is a tar archive in PAX format whose entries are sorted, named by their absolute paths without
// the leading slash, so that what did not change is found again.
package referenced

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// StreamName is the stream's name, Format what reads it: tar.
const (
	StreamName = "referenced-files"
	Format     = "referenced-files-tar"
)

// Inspect reads a stream to its end and counts its files. Errors: Corrupt, also for an entry that a restore would refuse.
func Inspect(r io.Reader) (files int, err error) {
	err = walk(r, func(*tar.Header, io.Reader) error { files++; return nil })
	return files, err
}

// walk calls each with every entry and reads the archive to its end.
func walk(r io.Reader, each func(*tar.Header, io.Reader) error) error {
	whole := &ending{r: r}
	archive := tar.NewReader(whole)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			if whole.ended { // package tar takes that for an end as well
				return damaged(errNoEnd)
			}
			_, err := io.Copy(io.Discard, r) // every byte is checked
			return err
		}
		if err != nil {
			return damaged(err)
		}
		if header.Typeflag != tar.TypeReg || !filepath.IsLocal(header.Name) || filepath.Clean(header.Name) != header.Name || strings.ContainsRune(header.Name, 0) {
			return failure.New(failure.Corrupt, "read the referenced files", fmt.Sprintf("the archive holds %q, which no backup writes", header.Name), "")
		}
		if err := each(header, archive); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, archive); err != nil { //nolint:gosec // nothing is unpacked: an entry is as long as it is stored
			return damaged(err)
		}
	}
}

var errNoEnd = errors.New("it ends before its end marker")

// ending notes that a reader has ended.
type ending struct {
	r     io.Reader
	ended bool
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if errors.Is(err, io.EOF) && n > 0 {
		return n, nil
	}
	e.ended = e.ended || errors.Is(err, io.EOF)
	return n, err
}

// damaged keeps the class of what the reader said.
func damaged(err error) error {
	var known *failure.Error
	if errors.As(err, &known) {
		return err
	}
	return failure.Wrap(failure.Corrupt, "read the referenced files", err, "The backup is damaged; restore another one.")
}
