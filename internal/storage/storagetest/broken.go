package storagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// Broken is a store over a connection that can be cut. Cut ends the connections that there are and
// refuses new ones until Restore. NewLink makes such a connection to a server.
type Broken struct {
	Store   storage.Store
	Cut     func()
	Restore func()
}

// patience is how long a call over a connection that is cut may take. It ends calls of stores that
// wait for the connection to come back, and is far more than one needs that does not.
const patience = 20 * time.Second

const brokenSize = 16 << 20 // more than what is in flight in anybody's buffers

func (s suite) testBroken(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Broken)
	}{
		{"nothing works without a connection, and everything afterwards", s.testNoConnection},
		{"a put that is cut leaves all or nothing", s.testCutPut},
		{"a put that is cut for a moment leaves all or nothing", s.testCutPutForAMoment},
		{"a read that is cut tells", s.testCutRead},
		{"a listing that is cut tells", s.testCutList},
		{"many calls that are cut leave whole objects", s.testCutMany},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := s.OpenBroken(t)
			b.Store = s.own(t, b.Store)
			t.Cleanup(b.Restore) // a Close that says good-bye is no reason to fail
			put(t, b.Store, "k", "as it was")
			test.run(t, b)
			b.Restore()
			s.requireWorks(t, b.Store)
		})
	}
}

func (s suite) testNoConnection(t *testing.T, b Broken) {
	b.Cut()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for method, err := range s.everyMethod(ctx, b.Store) {
		if method == "sync" && err == nil {
			continue // a store whose puts are durable has nothing to ask
		}
		s.requireCut(t, err, method)
	}
	b.Restore()
	require.Equal(t, []string{"k"}, list(t, b.Store, ""))
}

func (s suite) testCutPut(t *testing.T, b Broken) {
	for _, key := range []string{"k", "fresh"} {
		b.Restore()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		body := &cutting{Reader: bytes.NewReader(make([]byte, brokenSize)), at: brokenSize / 2, cut: b.Cut}
		err := b.Store.Put(ctx, key, body, brokenSize)
		cancel()
		b.Restore()
		s.requireAllOrNothing(t, b.Store, key, err)
	}
}

// testCutPutForAMoment has a body that can be read again: a store may try again and succeed.
func (s suite) testCutPutForAMoment(t *testing.T, b Broken) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	body := &cutting{Reader: bytes.NewReader(make([]byte, brokenSize)), at: brokenSize / 2, cut: func() {
		b.Cut()
		b.Restore()
	}}
	s.requireAllOrNothing(t, b.Store, "fresh", b.Store.Put(ctx, "fresh", struct {
		io.Reader
		io.Seeker
	}{body, body}, brokenSize))
}

// cutting is a body that cuts the connection once, when it was read up to at.
type cutting struct {
	*bytes.Reader
	at   int64
	cut  func()
	once sync.Once
}

func (c *cutting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p[:min(len(p), 256<<10)])
	if c.Size()-int64(c.Len()) >= c.at {
		c.once.Do(c.cut)
	}
	return n, err
}

// WriteTo is hidden: it would give everything away at once.
func (c *cutting) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{c}) }

// requireAllOrNothing checks what a put of brokenSize zero bytes that was cut left at key.
func (s suite) requireAllOrNothing(t *testing.T, store storage.Store, key string, putErr error) {
	t.Helper()
	if putErr != nil {
		s.requireCut(t, putErr, "put "+key)
	}
	object, err := store.Stat(context.Background(), key)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		require.Error(t, putErr, "the put of %s succeeded and the object is not there", key)
		require.Equal(t, "fresh", key, "the object that was there before is gone")
	case object.Size == brokenSize: // complete: also if only the answer was lost
		require.NoError(t, err)
		require.Equal(t, make([]byte, brokenSize), []byte(get(t, store, key, 0, -1)))
	default:
		require.NoError(t, err)
		require.Error(t, putErr)
		require.Equal(t, "as it was", get(t, store, key, 0, -1), key)
	}
	for _, listed := range list(t, store, "") {
		require.Contains(t, []string{"k", key}, listed, "a half-written object is listed")
	}
}

func (s suite) testCutRead(t *testing.T, b Broken) {
	source, written := rand.NewChaCha8([32]byte{7}), sha256.New()
	require.NoError(t, b.Store.Put(context.Background(), "large", io.TeeReader(io.LimitReader(source, brokenSize), written), brokenSize))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	body, err := b.Store.Get(ctx, "large", 0, -1)
	require.NoError(t, err)
	defer body.Close()
	read := sha256.New()
	_, err = io.CopyN(read, body, 1000)
	require.NoError(t, err)
	b.Cut()
	n, err := io.Copy(read, body)
	if err != nil {
		s.requireCut(t, err, "read")
		return
	}
	require.Equal(t, int64(brokenSize-1000), n, "a short read that does not tell")
	require.Equal(t, written.Sum(nil), read.Sum(nil))
}

func (s suite) testCutList(t *testing.T, b Broken) {
	want := []string{"k"}
	for i := range 50 {
		want = append(want, fmt.Sprintf("l/%02d/x", i))
	}
	s.putMany(t, b.Store, want[1:])
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var seen []string
	err := b.Store.List(ctx, "", func(o storage.Object) error {
		if seen = append(seen, o.Key); len(seen) == 1 {
			b.Cut()
		}
		return nil
	})
	require.Equal(t, want[:len(seen)], seen, "no object twice, none left out")
	if err != nil {
		s.requireCut(t, err, "list")
	} else {
		require.Len(t, seen, len(want), "a listing that ends early and does not tell")
	}
}

func (s suite) testCutMany(t *testing.T, b Broken) {
	const writers, rounds, size = 8, 20, 64 << 10
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var running sync.WaitGroup
	errs := make(chan error, writers*rounds)
	for w := range writers {
		running.Go(func() {
			for round := range rounds {
				key, content := fmt.Sprintf("m/%d/%d", w, round), strings.Repeat(string(rune('a'+w)), size)
				err := b.Store.Put(ctx, key, strings.NewReader(content), size)
				if w == 0 && round == rounds/2 {
					b.Cut()
					b.Restore()
				}
				if err != nil {
					errs <- err
				}
			}
		})
	}
	running.Wait()
	close(errs)
	for err := range errs {
		s.requireCut(t, err, "put")
	}
	for _, key := range list(t, b.Store, "m/") {
		require.NoError(t, readWhole(context.Background(), b.Store, key, size), key)
	}
}

// requireCut checks the error of a call whose connection was cut.
func (s suite) requireCut(t *testing.T, err error, what string) {
	t.Helper()
	require.Error(t, err, what)
	require.Contains(t, []failure.Class{failure.Unreachable, failure.Timeout}, failure.ClassOf(err), "%s: %v", what, err)
	s.harmless(t, err)
}

// requireWorks checks that a connection that is back is used, at once.
func (s suite) requireWorks(t *testing.T, store storage.Store) {
	t.Helper()
	ctx := context.Background()
	put(t, store, "afterwards", "fine")
	require.NoError(t, store.Sync(ctx))
	require.Equal(t, "fine", get(t, store, "afterwards", 0, -1))
	require.NoError(t, store.Copy(ctx, "afterwards", "copy"))
	require.Contains(t, list(t, store, ""), "copy")
	require.NoError(t, store.Delete(ctx, "copy"))
	_, err := store.Usage(ctx)
	require.NoError(t, err)
}
