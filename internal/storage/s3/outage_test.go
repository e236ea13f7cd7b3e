package s3_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/s3/s3server"
)

// outage is how long a server may be away without failing an upload.
const outage = 30 * time.Second

// tripwire does something once, when a body has been read so far.
type tripwire struct {
	io.ReadSeeker
	after int
	trip  func()
}

func (w *tripwire) Read(p []byte) (int, error) {
	n, err := w.ReadSeeker.Read(p)
	if w.after -= n; w.after <= 0 && w.trip != nil {
		w.trip()
		w.trip = nil
	}
	return n, err
}

func TestAnUploadOutlivesAServerThatIsAwayForHalfAMinute(t *testing.T) {
	t.Parallel()
	own := start(t, s3server.Options{})
	store := open(t, options(t, domain.StorageS3, own, bucket(t, own), ""))
	content := random(20 << 20)
	returned := make(chan error, 1)
	// A body is read once for its digest; the server goes in the middle of the second time, when it is sent.
	body := &tripwire{bytes.NewReader(content), 30 << 20, func() {
		own.Stop()
		time.AfterFunc(outage, func() { returned <- own.Restart(context.Background()) })
	}}
	started := time.Now()
	require.NoError(t, store.Put(t.Context(), "key", body, int64(len(content))))
	require.Greater(t, time.Since(started), outage)
	require.NoError(t, <-returned)
	require.True(t, bytes.Equal(content, read(t, store, "key")))
}

func TestAReadGoesOnWhereTheServerBrokeOff(t *testing.T) {
	t.Parallel()
	own := start(t, s3server.Options{})
	store := open(t, options(t, domain.StorageS3, own, bucket(t, own), ""))
	content := random(32 << 20)
	require.NoError(t, store.Put(t.Context(), "key", bytes.NewReader(content), int64(len(content))))
	body, err := store.Get(t.Context(), "key", 3, -1)
	require.NoError(t, err)
	defer body.Close()
	got := make([]byte, 1<<20)
	_, err = io.ReadFull(body, got)
	require.NoError(t, err)
	own.Stop()
	require.NoError(t, own.Restart(t.Context()))
	rest, err := io.ReadAll(body)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content[3:], slices.Concat(got, rest)))
}

func TestAServerThatStaysAwayIsUnreachable(t *testing.T) {
	t.Parallel()
	own := start(t, s3server.Options{})
	opts := options(t, domain.StorageS3, own, bucket(t, own), "")
	opts.Patience = 2 * time.Second
	store := open(t, opts)
	put(t, store, "key", "x")
	own.Stop()
	for call, err := range everyCall(store) {
		require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%s: %v", call, err)
		require.Contains(t, err.Error(), own.Address)
		require.Contains(t, failure.HintOf(err), "service is up")
	}
	// A caller with less patience learns the same, and that its time is over.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := store.Stat(ctx, "key")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%v", err)
}
