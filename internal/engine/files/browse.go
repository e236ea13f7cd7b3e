package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Browse reads the index, from its beginning up to the last entry that is wanted, and nothing of the tar stream.
func (e *Engine) Browse(ctx context.Context, streams []engine.Stream, open engine.Opener, folder, after string, limit int) ([]domain.BackedUpFile, string, error) {
	if err := e.CheckStreams(streams); err != nil {
		return nil, "", err
	}
	stream, err := open(ctx, indexStream, 0)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = stream.Close() }()
	index, err := newIndexReader(stream)
	if err != nil {
		return nil, "", err
	}
	part := folderPart{folder: unescapePath(folder), after: after, limit: limit, entries: []domain.BackedUpFile{}}
	for {
		var at entry
		err := index.next(&at)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, "", err
		}
		if done := part.add(&at); done {
			break
		}
	}
	if !part.found {
		return nil, "", failure.New(failure.NotFound, "look into the backup", fmt.Sprintf("it has no folder %q", folder), "")
	}
	return part.entries, part.next, nil
}

// folderPart is the part of a folder that is looked for.
type folderPart struct {
	folder, after string
	limit         int

	found   bool
	last    string // name of the last entry
	entries []domain.BackedUpFile
	next    string
}

// add takes the next entry of the index; true when those behind it are not wanted.
func (l *folderPart) add(e *entry) (done bool) {
	if e.name == "." {
		l.found = l.folder == ""
		return false
	}
	name := e.name
	if l.folder != "" {
		if e.name == l.folder {
			l.found = e.kind == kindDir
			return !l.found
		}
		below, is := strings.CutPrefix(e.name, l.folder+"/")
		if !is {
			return comparePaths(e.name, l.folder) > 0 // what is in it comes right behind it
		}
		name = below
	}
	if strings.Contains(name, "/") || e.kind == kindGone || l.after != "" && name <= l.after {
		return false
	}
	if len(l.entries) == l.limit {
		l.next = l.last
		return true
	}
	l.entries, l.last = append(l.entries, backedUp(e, name)), name
	return false
}

func backedUp(e *entry, name string) domain.BackedUpFile {
	file := domain.BackedUpFile{
		Name: valid(name), Path: escapePath(e.name), ModifiedAt: time.Unix(0, e.mtime).UTC(),
		Mode: fmt.Sprintf("%04o", e.mode), Target: valid(e.link),
	}
	switch e.kind {
	case kindDir:
		file.Type = "folder"
	case kindSymlink:
		file.Type = "symlink"
	case kindHardlink:
		file.Type = "hardlink"
	default:
		file.Type, file.Size = "file", &e.size
	}
	return file
}

// valid is a name as JSON can hold it.
func valid(name string) string { return strings.ToValidUTF8(name, "\ufffd") }
