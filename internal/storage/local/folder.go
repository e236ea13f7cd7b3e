package local

import (
	"context"

	"github.com/dataguardian/dataguardian/internal/storage"
)

var _ storage.FolderLister = (*Store)(nil)

// ListFolder reads one directory, and looks at the files of which it tells.
func (s *Store) ListFolder(ctx context.Context, folder, after string, fn func(storage.Entry) error) error {
	const op = "list folder"
	if err := storage.CheckFolder(op, folder); err != nil {
		return err
	}
	dir, prefix := ".", ""
	if folder != "" {
		dir, prefix = folder, folder+"/"
		info, err := s.root.Stat(folder)
		if err != nil {
			return classify(op, folder, err)
		}
		if !info.IsDir() {
			return storage.NotFoundError(op, folder)
		}
	}
	found, err := s.readDir(ctx, dir)
	if err != nil {
		return classify(op, folder, err)
	}
	for _, f := range found {
		if f.name <= after {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		entry := storage.Entry{Name: f.name, Object: storage.Object{Key: prefix + f.name, Size: f.size, ModTime: f.changed}}
		if entry.IsFolder() {
			entry.Key = entry.Key[:len(entry.Key)-1]
		}
		if err := fn(entry); err != nil {
			return err
		}
	}
	return nil
}
