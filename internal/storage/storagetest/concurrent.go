package storagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// testClosedEarly finds a store that keeps a connection or a file for every reader that was not read
// to its end.
func (s suite) testClosedEarly(t *testing.T, store storage.Store) {
	put(t, store, "k", strings.Repeat("x", 1<<20))
	for range 200 {
		body, err := store.Get(context.Background(), "k", 0, -1)
		require.NoError(t, err)
		_, err = io.ReadFull(body, make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, body.Close())
	}
	require.Equal(t, "x", get(t, store, "k", 1<<20-1, -1))
}

func (s suite) testConcurrent(t *testing.T, store storage.Store) {
	ctx := context.Background()
	const writers, rounds, size = 8, 30, 64 << 10
	put(t, store, "shared/hot", strings.Repeat("z", size))
	var running sync.WaitGroup
	failed := make(chan error, 2*writers)
	for w := range writers {
		running.Go(func() {
			for round := range rounds {
				own := fmt.Sprintf("own/%d/%d/x", w, round)
				content := strings.Repeat(string(rune('a'+w)), size)
				err := errors.Join(store.Put(ctx, "shared/hot", strings.NewReader(content), size),
					store.Put(ctx, own, strings.NewReader(own), int64(len(own))), store.Delete(ctx, own))
				if err != nil {
					failed <- err
					return
				}
			}
		})
		running.Go(func() {
			for range rounds {
				if err := readWhole(ctx, store, "shared/hot", size); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	running.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	require.Equal(t, []string{"shared/hot"}, list(t, store, ""))
}

// readWhole fails if an object of equal bytes is torn.
func readWhole(ctx context.Context, store storage.Store, key string, size int) error {
	body, err := store.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if len(content) != size || strings.Trim(string(content), string(content[:1])) != "" {
		return fmt.Errorf("read a torn object of %d bytes", len(content))
	}
	return nil
}
