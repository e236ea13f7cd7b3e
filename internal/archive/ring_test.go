package archive

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSpansInUseNeverOverlap takes spans of random sizes, shrinks some, and releases them in another
// order from other goroutines: what a span was filled with must be there until its release.
func TestSpansInUseNeverOverlap(t *testing.T) {
	const size = 10_000
	r, err := newRing(size)
	require.NoError(t, err)
	defer r.close()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	var users sync.WaitGroup
	wrong := make(chan int, 5000)
	for i := range 5000 {
		s, err := r.take(context.Background(), 1+random.IntN(size/4))
		require.NoError(t, err)
		if random.IntN(2) == 0 {
			s.shrink(1 + random.IntN(s.size))
		}
		content := s.bytes()
		for j := range content {
			content[j] = byte(i)
		}
		users.Go(func() {
			for _, b := range s.bytes() {
				if b != byte(i) {
					wrong <- i
					break
				}
			}
			s.release()
		})
	}
	users.Wait()
	require.Empty(t, wrong, "seed %d", seed)
	require.Empty(t, r.spans)
}

func TestASpanAfterAShrunkOneFollowsIt(t *testing.T) {
	r, err := newRing(4096)
	require.NoError(t, err)
	defer r.close()
	first, err := r.take(context.Background(), 2000)
	require.NoError(t, err)
	first.shrink(100)
	second, err := r.take(context.Background(), 2000)
	require.NoError(t, err)
	require.Equal(t, 100, second.start)
}

func TestAFullRingWaitsForARelease(t *testing.T) {
	r, err := newRing(4096)
	require.NoError(t, err)
	defer r.close()
	first, err := r.take(context.Background(), 4096)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = r.take(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	go first.release()
	second, err := r.take(context.Background(), 4096)
	require.NoError(t, err)
	require.Equal(t, 0, second.start)
}
