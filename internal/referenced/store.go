package referenced

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const storing = "back up the referenced files"

// maxWarnings is how many files are named that could not be backed up; the others are counted.
const maxWarnings = 20

// Paths collects what rows point to, each once.
type Paths struct {
	max int
	set map[string]struct{}
}

// NewPaths takes at most max paths.
func NewPaths(max int) *Paths { return &Paths{max: max, set: map[string]struct{}{}} }

// Add takes a path; "" is none. Errors: ConfigInvalid when there are too many.
func (p *Paths) Add(path string) error {
	if path == "" {
		return nil
	}
	p.set[path] = struct{}{}
	if len(p.set) > p.max {
		return failure.New(failure.ConfigInvalid, storing, fmt.Sprintf("discovery_query returns more than %d paths (max_files)", p.max),
			"Raise max_files in the job's referenced_files, or narrow discovery_query.")
	}
	return nil
}

// Report says what of the files is in the archive.
type Report struct {
	Files    int
	Bytes    int64
	Warnings []string // what is not, as the policy is to warn
}

// Writer writes the archive.
type Writer struct {
	bases   []base
	policy  domain.MissingFilePolicy
	archive *tar.Writer
	written map[string]struct{} // names of entries
	report  Report
	left    int // files that could not be read and are not named in the report
}

// base is a directory that files may be in.
type base struct {
	path string
	tree tree
}

// Write writes the archive of the files that paths point to. A file that changes meanwhile is stored as long as it was when
// it was opened. Errors: NotFound for a base directory that is not there and, if that is the policy, for a
// file; those of w; for files of an SSH server those of sshdial.Dialer.Dial, and Unreachable.
func Write(ctx context.Context, options domain.ReferencedFiles, paths *Paths, w io.Writer) (Report, error) {
	out := &Writer{policy: options.MissingFilePolicy, archive: tar.NewWriter(w), written: map[string]struct{}{}}
	closeSource, err := out.openBases(ctx, options)
	if err != nil {
		return out.report, err
	}
	defer closeSource()
	sorted := make([]string, 0, len(paths.set))
	for path := range paths.set {
		sorted = append(sorted, path)
	}
	slices.Sort(sorted)
	for _, path := range sorted {
		if err := ctx.Err(); err != nil {
			return out.report, err
		}
		if err := out.add(path); err != nil {
			return out.report, err
		}
	}
	if out.left > 0 {
		out.report.Warnings = append(out.report.Warnings, fmt.Sprintf("%d more referenced files could not be backed up", out.left))
	}
	return out.report, out.archive.Close()
}

// openBases opens where the files are, and every base directory of it.
func (w *Writer) openBases(ctx context.Context, options domain.ReferencedFiles) (closeAll func(), err error) {
	openTree, closeSource := openLocal, func() {}
	if options.SourceType == domain.FilesSSH {
		server, err := dialServer(ctx, options.Login())
		if err != nil {
			return nil, err
		}
		openTree, closeSource = server.openTree, server.close
	}
	closeAll = func() {
		for _, b := range w.bases {
			b.tree.close()
		}
		closeSource()
	}
	for _, path := range options.BaseDirectories {
		opened, err := openTree(path)
		if err != nil {
			closeAll()
			return nil, err
		}
		w.bases = append(w.bases, base{path, opened})
	}
	return closeAll, nil
}

// add stores the file that a path points to.
func (w *Writer) add(path string) error {
	name, file, info, err := w.open(path)
	var known *failure.Error
	switch {
	case errors.As(err, &known): // the server's, not the file's
		return err
	case err != nil:
		return w.miss(path, err)
	}
	defer func() { _ = file.Close() }()
	if _, twice := w.written[name]; twice {
		return nil
	}
	w.written[name] = struct{}{}
	return w.store(name, file, info)
}

// open finds a regular file below one of the base directories.
func (w *Writer) open(path string) (name string, file io.ReadCloser, info fs.FileInfo, err error) {
	err = errOutside
	if strings.ContainsRune(path, 0) {
		return "", nil, nil, err
	}
	for _, b := range w.bases {
		relative := filepath.Clean(path)
		if filepath.IsAbs(relative) {
			var outside error
			if relative, outside = filepath.Rel(b.path, relative); outside != nil {
				continue
			}
		}
		if !filepath.IsLocal(relative) || relative == "." {
			continue
		}
		file, info, err = b.tree.open(relative)
		if err == nil {
			return strings.TrimPrefix(filepath.Join(b.path, relative), "/"), file, info, nil
		}
	}
	return "", nil, nil, err
}

// miss is about a file that is not in the archive.
func (w *Writer) miss(path string, err error) error {
	if w.policy == domain.MissingFail {
		return failure.Wrap(failure.NotFound, storing, fmt.Errorf("%q: %w", path, err), "Put the file back, correct the row, or set missing_file_policy to warn.")
	}
	w.warn(fmt.Sprintf("referenced file %q is not in the backup: %v", path, err))
	return nil
}

func (w *Writer) warn(text string) {
	if len(w.report.Warnings) == maxWarnings {
		w.left++
		return
	}
	w.report.Warnings = append(w.report.Warnings, text)
}

func (w *Writer) store(name string, file io.Reader, info fs.FileInfo) error {
	// No more than this: when a file was read last, say, differs from backup to backup.
	header := &tar.Header{
		Typeflag: tar.TypeReg, Format: tar.FormatPAX, Name: name, Size: info.Size(), ModTime: info.ModTime(), Mode: int64(info.Mode().Perm()),
	}
	header.Uid, header.Gid = ownerOf(info)
	if err := w.archive.WriteHeader(header); err != nil {
		return err
	}
	n, err := io.Copy(w.archive, io.LimitReader(file, info.Size()))
	if err == nil && n < info.Size() {
		w.warn(fmt.Sprintf("referenced file %q became shorter while it was read: its end is zeros", "/"+name))
		_, err = io.CopyN(w.archive, zeros{}, info.Size()-n)
	}
	w.report.Files++
	w.report.Bytes += info.Size()
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
