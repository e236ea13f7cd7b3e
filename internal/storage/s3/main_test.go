package s3_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/s3"
	"github.com/dataguardian/dataguardian/internal/storage/s3/s3server"
)

// server is the one that most tests share; those that stop a server start their own.
var server *s3server.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "dgs3-")
	if err == nil {
		defer os.RemoveAll(dir)
		server, err = s3server.Start(context.Background(), s3server.Options{Dir: dir})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Stop()
	return m.Run()
}

// start starts a server of the test's own.
func start(t *testing.T, opts s3server.Options) *s3server.Server {
	t.Helper()
	opts.Dir = t.TempDir()
	own, err := s3server.Start(context.Background(), opts)
	require.NoError(t, err)
	t.Cleanup(own.Stop)
	return own
}

var buckets atomic.Int64

func bucketName() string { return fmt.Sprintf("bucket-%d", buckets.Add(1)) }

// bucket makes a bucket of the test's own.
func bucket(t *testing.T, on *s3server.Server) string {
	t.Helper()
	name := bucketName()
	require.NoError(t, on.CreateBucket(context.Background(), name))
	return name
}

func options(t *testing.T, kind domain.StorageLocationType, on *s3server.Server, bucket, prefix string) s3.Options {
	t.Helper()
	c := on.Config(kind, bucket, prefix)
	c.Normalize(kind)
	require.Empty(t, c.Validate(kind))
	opts, err := s3.OptionsOf(kind, c)
	require.NoError(t, err)
	return opts
}

// open opens a store; change may be nil.
func open(t *testing.T, opts s3.Options) *s3.Store {
	t.Helper()
	store, err := s3.Open(context.Background(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func put(t *testing.T, store *s3.Store, key, content string) {
	t.Helper()
	require.NoError(t, store.Put(context.Background(), key, strings.NewReader(content), int64(len(content))))
}

func list(t *testing.T, store *s3.Store) []string {
	t.Helper()
	keys := []string{}
	require.NoError(t, store.List(context.Background(), "", func(o storage.Object) error {
		keys = append(keys, o.Key)
		return nil
	}))
	return keys
}
