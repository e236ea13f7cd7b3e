package s3

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dataguardian/dataguardian/internal/storage"
)

var _ storage.FolderLister = (*Store)(nil)

// ListFolder has the service roll up what is below the folders of the folder, so that it costs a request
// for every thousand entries, not for every thousand objects.
func (s *Store) ListFolder(ctx context.Context, folder, after string, fn func(storage.Entry) error) error {
	const op = "list folder"
	if err := storage.CheckFolder(op, folder); err != nil {
		return err
	}
	prefix := ""
	if folder != "" {
		prefix = folder + "/"
	}
	in := &s3.ListObjectsV2Input{Delimiter: aws.String("/")}
	if after != "" {
		in.StartAfter = s.name(prefix + after)
	}
	last := ""
	return s.pages(ctx, op, prefix, in, func(page *s3.ListObjectsV2Output) error {
		entries, err := s.entries(op, prefix, page)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			// What is below the folder of that name comes after it, and so its name comes again: after a
			// page that ended there, and for a service that does not know StartAfter.
			if entry.Name == last || entry.Name <= after {
				continue
			}
			if entry.Name < last {
				return notSorted(op, entry.Name, last)
			}
			last = entry.Name
			if err := fn(entry); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		return nil
	})
}

// entries are those of one page in order: the service lists objects and folders apart.
func (s *Store) entries(op, prefix string, page *s3.ListObjectsV2Output) ([]storage.Entry, error) {
	entries := make([]storage.Entry, 0, len(page.Contents)+len(page.CommonPrefixes))
	for _, found := range page.Contents {
		object, ours, err := s.listed(op, page.EncodingType, found)
		if err != nil {
			return nil, err
		}
		if name, below := strings.CutPrefix(object.Key, prefix); ours && below {
			entries = append(entries, storage.Entry{Name: name, Object: object})
		}
	}
	for _, found := range page.CommonPrefixes {
		key, ours, err := s.keyOf(op, page.EncodingType, aws.ToString(found.Prefix), "/")
		if err != nil {
			return nil, err
		}
		if name, below := strings.CutPrefix(key, prefix); ours && below {
			entries = append(entries, storage.Entry{Name: name + "/", Object: storage.Object{Key: key}})
		}
	}
	slices.SortFunc(entries, func(a, b storage.Entry) int { return cmp.Compare(a.Name, b.Name) })
	return entries, nil
}
