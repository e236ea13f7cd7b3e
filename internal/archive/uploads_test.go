package archive

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// uploadMany uploads objects of 1 MiB, each of which takes as long as upload does, as fast as u
// lets it, and returns the slots that u ended up with.
func uploadMany(t *testing.T, upload func(), count int) (limit int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		u := newUploads(4, time.Now)
		var running sync.WaitGroup
		for range count {
			running.Go(func() {
				require.NoError(t, u.acquire(context.Background()))
				upload()
				u.release(mib)
			})
		}
		running.Wait()
		require.Len(t, u.slots, u.limit, "every slot was given back")
		limit = u.limit
	})
	return limit
}

func TestUploadsClimbWhereTheStoreHasLatency(t *testing.T) {
	require.Equal(t, mostUploads, uploadMany(t, func() { time.Sleep(50 * time.Millisecond) }, 2000))
}

func TestUploadsStayFewWhereTheStoreIsBusy(t *testing.T) {
	// One object at a time, so that more uploads bring nothing. A channel, because synctest's clock
	// stands still while somebody waits for a mutex.
	var disk chan struct{}
	var once sync.Once
	limit := uploadMany(t, func() {
		once.Do(func() { disk = make(chan struct{}, 1) })
		disk <- struct{}{}
		time.Sleep(5 * time.Millisecond)
		<-disk
	}, 500)
	require.LessOrEqual(t, limit, 6)
}

func TestUploadsThatNeverWaitStayAsTheyAre(t *testing.T) {
	u := newUploads(4, time.Now)
	for range 1000 {
		require.NoError(t, u.acquire(context.Background()))
		u.release(mib)
	}
	require.Equal(t, 4, u.limit)
	require.Len(t, u.slots, 4)
}

func TestAWaitForASlotEndsWithItsContext(t *testing.T) {
	u := newUploads(1, time.Now)
	require.NoError(t, u.acquire(context.Background()))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, u.acquire(ctx), context.Canceled)
}
