package s3_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/s3"
)

// parallel is how many objects a worker writes at the same time unless told otherwise.
const parallel = domain.DefaultParallelUploads

// BenchmarkTransfer puts and gets objects on the shared server. One iteration is one object.
func BenchmarkTransfer(b *testing.B) {
	for _, mib := range []int{4, 16} {
		content := random(mib << 20)
		opts, err := s3.OptionsOf(domain.StorageMinIO, server.Config(domain.StorageMinIO, bucketName(), ""))
		require.NoError(b, err)
		require.NoError(b, server.CreateBucket(context.Background(), opts.Bucket))
		store, err := s3.Open(context.Background(), opts)
		require.NoError(b, err)
		run := func(name string, transfer func(key string) error) {
			b.Run(fmt.Sprintf("%s/%dMiB", name, mib), func(b *testing.B) {
				b.SetBytes(int64(len(content)))
				b.SetParallelism(parallel)
				var next atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := transfer(fmt.Sprint(next.Add(1) % 64)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
		run("put", func(key string) error {
			return store.Put(context.Background(), key, bytes.NewReader(content), int64(len(content)))
		})
		for i := range 64 {
			require.NoError(b, store.Put(context.Background(), fmt.Sprint(i), bytes.NewReader(content), int64(len(content))))
		}
		run("get", func(key string) error {
			body, err := store.Get(context.Background(), key, 0, -1)
			if err != nil {
				return err
			}
			defer body.Close()
			_, err = io.Copy(io.Discard, body)
			return err
		})
		require.NoError(b, store.Close())
	}
}
