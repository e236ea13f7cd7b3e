package ssh

import (
	"context"

	"github.com/dataguardian/dataguardian/internal/storage"
)

var _ storage.FolderLister = (*Store)(nil)

// ListFolder reads one directory. One that a broken connection interrupted is read again.
func (s *Store) ListFolder(ctx context.Context, folder, after string, fn func(storage.Entry) error) error {
	const op = "list folder"
	if err := storage.CheckFolder(op, folder); err != nil {
		return err
	}
	dir := "."
	if folder != "" {
		dir = folder
	}
	found, err := s.readDir(ctx, dir)
	if err != nil {
		return s.classify(op, dir, err)
	}
	for _, f := range found {
		if f.name <= after {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		key := join(dir, f.name)
		if f.isDir() {
			key = key[:len(key)-1]
		}
		if err := fn(storage.Entry{Name: f.name, Object: storage.Object{Key: key, Size: f.size, ModTime: f.modTime}}); err != nil {
			return err
		}
	}
	return ctx.Err()
}
