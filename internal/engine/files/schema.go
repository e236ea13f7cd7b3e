package files

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
)

const (
	schemaDepth = 2               // levels that are listed
	schemaTime  = 5 * time.Second // for the sizes of what is below
)

// Schema lists the top of the tree: two levels, with what is below the second added up as far as it is
// seen in five seconds. A directory whose size is not known whole has -1.
func (*Engine) Schema(ctx context.Context, src engine.Source) (domain.Schema, error) {
	root, err := openRoot(src)
	if err != nil {
		return domain.Schema{}, err
	}
	_ = root.Close()
	ctx, cancel := context.WithTimeout(ctx, schemaTime)
	defer cancel()
	s := &sizer{ctx: ctx, schema: domain.Schema{Objects: []domain.SchemaObject{}}}
	s.list(src.Config.SourcePath, "", 1)
	return s.schema, nil
}

type sizer struct {
	ctx    context.Context //nolint:containedctx // of one call
	schema domain.Schema
}

// list adds what is in a directory and returns its size, -1 if that is not known.
func (s *sizer) list(directory, prefix string, depth int) int64 {
	entries, err := os.ReadDir(directory)
	total, known := int64(0), err == nil
	for _, entry := range entries {
		at := -1
		if depth <= schemaDepth && len(s.schema.Objects) < domain.MaxSchemaObjects {
			at = len(s.schema.Objects)
			s.schema.Objects = append(s.schema.Objects, domain.SchemaObject{Name: printable(prefix + entry.Name()), Kind: kindOf(entry.Type()), Rows: -1})
		} else if depth <= schemaDepth {
			s.schema.Truncated = true
		}
		bytes := s.size(directory, prefix, entry, depth)
		if at >= 0 {
			s.schema.Objects[at].Bytes = bytes
		}
		total += max(0, bytes)
		known = known && bytes >= 0
	}
	if !known {
		return -1
	}
	return total
}

func (s *sizer) size(directory, prefix string, entry os.DirEntry, depth int) int64 {
	if s.ctx.Err() != nil {
		return -1
	}
	if entry.IsDir() {
		return s.list(filepath.Join(directory, entry.Name()), prefix+entry.Name()+"/", depth+1)
	}
	info, err := entry.Info()
	if err != nil {
		return -1
	}
	if !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}

func kindOf(mode os.FileMode) string {
	switch {
	case mode.IsRegular():
		return "file"
	case mode.IsDir():
		return "directory"
	case mode&os.ModeSymlink != 0:
		return "symlink"
	}
	return "other"
}
