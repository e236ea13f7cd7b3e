package ssh_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/internal/storage/ssh"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// BenchmarkTransfer puts and gets 1 GiB in objects of 4 MiB and 16 MiB, by as many workers as a location
// gets uploads by default, over one to eight connections.
func BenchmarkTransfer(b *testing.B) {
	server := sshserver.Start(b, sshserver.Options{})
	content := make([]byte, 16<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content)
	root := filepath.Join(b.TempDir(), "root")
	for _, connections := range []int{1, 2, 4, 8} {
		for _, size := range []int{4 << 20, 16 << 20} {
			opts := optionsOf(server, root)
			opts.MaxConnections = connections
			store, err := ssh.Open(context.Background(), opts)
			require.NoError(b, err)
			count := 1 << 30 / size
			each := func(b *testing.B, do func(key string) error) {
				b.Helper()
				b.SetBytes(1 << 30)
				for b.Loop() {
					var group errgroup.Group
					group.SetLimit(16)
					for i := range count {
						group.Go(func() error { return do(fmt.Sprintf("chunks/%02x/%d", i%256, i)) })
					}
					require.NoError(b, group.Wait())
				}
			}
			name := fmt.Sprintf("objects of %d MiB over %d connections", size>>20, connections)
			b.Run("put "+name, func(b *testing.B) {
				each(b, func(key string) error {
					return store.Put(context.Background(), key, bytes.NewReader(content[:size]), int64(size))
				})
			})
			b.Run("get "+name, func(b *testing.B) {
				each(b, func(key string) error {
					body, err := store.Get(context.Background(), key, 0, -1)
					if err != nil {
						return err
					}
					defer body.Close()
					n, err := io.Copy(io.Discard, body)
					if err == nil && n != int64(size) {
						err = fmt.Errorf("%s has %d bytes", key, n)
					}
					return err
				})
			})
			require.NoError(b, store.Close())
			require.NoError(b, os.RemoveAll(root))
		}
	}
}
