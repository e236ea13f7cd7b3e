package memory

import (
	"context"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/storage"
)

var _ storage.FolderLister = (*Store)(nil)

// ListFolder lists what was there when it was called.
func (s *Store) ListFolder(ctx context.Context, folder, after string, fn func(storage.Entry) error) error {
	if err := storage.CheckFolder("list folder", folder); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	prefix := ""
	if folder != "" {
		prefix = folder + "/"
	}
	entries := map[string]storage.Entry{}
	s.mu.RLock()
	for key, o := range s.objects {
		rest, below := strings.CutPrefix(key, prefix)
		if !below {
			continue
		}
		entry := storage.Entry{Name: rest, Object: storage.Object{Key: key, Size: int64(len(o.data)), ModTime: o.modTime}}
		if end := strings.IndexByte(rest, '/'); end >= 0 {
			entry = storage.Entry{Name: rest[:end+1], Object: storage.Object{Key: prefix + rest[:end]}}
		}
		if entry.Name > after {
			entries[entry.Name] = entry
		}
	}
	s.mu.RUnlock()
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := fn(entries[name]); err != nil {
			return err
		}
	}
	return nil
}
