package referenced

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dataguardian/dataguardian/internal/failure"
)

const restoring = "restore the referenced files"

// markName is the file in a restored directory that says which restore made it.
const markName = ".dataguardian-restore"

// CheckTarget refuses a directory that Extract would: one that is not empty. Errors: ConfigInvalid.
func CheckTarget(dir, token string) error {
	if !filepath.IsAbs(dir) || filepath.Clean(dir) == "/" {
		return failure.New(failure.ConfigInvalid, restoring, dir+" is not an absolute path below /", "Give a new or empty directory on the worker.")
	}
	if restoredBy(dir, token) {
		return nil
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return refused(err)
	case len(entries) > 0:
		return failure.New(failure.ConfigInvalid, restoring, dir+" is not empty", "Give a new or empty directory as referenced_files_directory.")
	}
	return nil
}

// Extract restores every file of a stream below dir, which is new or empty: beside it first, and renamed when all are
// there. Called again with the same token (lower-case hex) after it succeeded, it does nothing. Owners are not restored. Errors: ConfigInvalid,
// StorageFull, Corrupt, those of r.
func Extract(r io.Reader, dir, token string) (files int, err error) {
	dir = filepath.Clean(dir)
	if err := CheckTarget(dir, token); err != nil || restoredBy(dir, token) {
		return 0, err
	}
	staging := dir + ".dataguardian-" + token
	if err := os.RemoveAll(staging); err != nil { // of an earlier attempt
		return 0, refused(err)
	}
	if err := os.Mkdir(staging, 0o700); err != nil {
		return 0, refused(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(staging))
		}
	}()
	if files, err = fill(r, staging, token); err != nil {
		return files, err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // it is empty, or this fails
		return files, refused(err)
	}
	return files, refused(os.Rename(staging, dir))
}

func restoredBy(dir, token string) bool {
	mark, err := os.ReadFile(filepath.Join(dir, markName)) //nolint:gosec // a fixed name in a directory that a permission is needed to give
	return err == nil && string(mark) == token
}

func fill(r io.Reader, dir, token string) (files int, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, refused(err)
	}
	defer func() { _ = root.Close() }()
	err = walk(r, func(header *tar.Header, content io.Reader) error {
		files++
		return place(root, header, content)
	})
	if err != nil {
		return files, err
	}
	return files, refused(root.WriteFile(markName, []byte(token), 0o600))
}

// place writes one file, which must not be there yet.
func place(root *os.Root, header *tar.Header, content io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(header.Name), 0o700); err != nil {
		return refused(err)
	}
	file, err := root.OpenFile(header.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return refused(err)
	}
	_, err = io.Copy(file, damagedReader{content})
	err = errors.Join(err, file.Chmod(fs.FileMode(header.Mode)&fs.ModePerm), file.Sync(), file.Close()) //nolint:gosec // masked
	if err == nil {
		err = root.Chtimes(header.Name, header.ModTime, header.ModTime)
	}
	return refused(err)
}

// damagedReader tells errors of the archive from those of the disk.
type damagedReader struct{ io.Reader }

func (d damagedReader) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // io.Reader's contract
		err = damaged(err)
	}
	return n, err
}

// refused classifies an error of the worker's disk.
func refused(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return failure.Wrap(failure.StorageFull, restoring, err, "Make room on the worker's disk.")
	}
	return failure.Wrap(failure.ConfigInvalid, restoring, err, "Give a directory that the worker may create, and whose parent exists.")
}
