package local_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/storage/local"
)

// BenchmarkBackup stores what a backup does: objects in batches, each made durable, on a disk that is
// quiet or has a gigabyte of another program's to write. docs/decisions/0003 has the figures.
func BenchmarkBackup(b *testing.B) {
	for _, c := range []struct {
		name                 string
		size, batch, batches int
		dirty                int // bytes
	}{
		{"1 GiB of 1 MiB", 1 << 20, 64, 16, 0},
		{"400 MB of 100 KiB", 100 << 10, 640, 6, 0},
		{"5 MiB", 1 << 20, 5, 1, 0},
		{"5 MiB beside another's GiB", 1 << 20, 5, 1, 1 << 30},
		{"128 MiB beside another's GiB", 1 << 20, 64, 2, 1 << 30},
	} {
		b.Run(c.name, func(b *testing.B) {
			body := make([]byte, c.size)
			_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
			b.SetBytes(int64(c.size * c.batch * c.batches))
			for range b.N {
				b.StopTimer()
				dir := b.TempDir()
				unix.Sync()
				store, err := local.Open(context.Background(), local.Options{Root: filepath.Join(dir, "store")})
				require.NoError(b, err)
				makeDirty(b, filepath.Join(dir, "others"), c.dirty)
				b.StartTimer()
				for i := range c.batches * c.batch {
					key := fmt.Sprintf("orders/chunks/%02x/%d", i*7%256, i)
					require.NoError(b, store.Put(context.Background(), key, bytes.NewReader(body), int64(c.size)))
					if (i+1)%c.batch == 0 {
						require.NoError(b, store.Sync(context.Background()))
					}
				}
				b.StopTimer()
				require.NoError(b, store.Close())
				require.NoError(b, os.RemoveAll(dir))
				b.StartTimer()
			}
		})
	}
}

// makeDirty writes bytes that nobody makes durable.
func makeDirty(b *testing.B, name string, size int) {
	b.Helper()
	file, err := os.Create(name)
	require.NoError(b, err)
	defer file.Close()
	block := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(block)
	for range size / len(block) {
		_, err := file.Write(block)
		require.NoError(b, err)
	}
}
