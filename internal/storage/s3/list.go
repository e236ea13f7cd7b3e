package s3

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// List reads page after page. What others put into the bucket under names that are no keys, such as
// the "directories" that consoles make, is not listed.
func (s *Store) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	return s.list(ctx, "list objects", prefix, fn)
}

func (s *Store) list(ctx context.Context, op, prefix string, fn func(storage.Object) error) error {
	if err := storage.CheckPrefix(op, prefix); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	in := &s3.ListObjectsV2Input{
		Bucket: &s.opts.Bucket, Prefix: s.name(prefix),
		EncodingType: types.EncodingTypeUrl, // XML has no way to write every character that a key may have
	}
	last := ""
	for {
		page, err := ask(ctx, s, op, prefix, s.client.ListObjectsV2, in)
		if err != nil {
			return err
		}
		for _, found := range page.Contents {
			object, ok, err := s.listed(op, page.EncodingType, found)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if last != "" && object.Key <= last {
				return failure.New(failure.Unsupported, op, fmt.Sprintf("the service lists %q after %q, which is not in byte order", object.Key, last),
					"Use a bucket of the general kind: directory buckets are not sorted.")
			}
			last = object.Key
			if err := fn(object); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if !aws.ToBool(page.IsTruncated) {
			return nil
		}
		if aws.ToString(page.NextContinuationToken) == "" { // what is not listed would look as if it were not there
			return failure.New(failure.Unsupported, op, "the service ends a listing that it says is not complete", "Look for a newer version of the service.")
		}
		in.ContinuationToken = page.NextContinuationToken
	}
}

// listed reads one entry. It is false for what is none of our objects.
func (s *Store) listed(op string, encoding types.EncodingType, found types.Object) (storage.Object, bool, error) {
	name := aws.ToString(found.Key)
	if encoding == types.EncodingTypeUrl {
		decoded, err := url.QueryUnescape(name)
		if err != nil {
			return storage.Object{}, false, failure.Wrap(failure.Unsupported, op, fmt.Errorf("a name in the listing can not be read: %w", err), "")
		}
		name = decoded
	}
	key, ours := strings.CutPrefix(name, s.prefix)
	if !ours {
		return storage.Object{}, false, nil
	}
	if err := storage.CheckKey(op, key); err != nil {
		return storage.Object{}, false, nil //nolint:nilerr // somebody else's object is no error
	}
	return storage.Object{Key: key, Size: aws.ToInt64(found.Size), ModTime: aws.ToTime(found.LastModified)}, true, nil
}
