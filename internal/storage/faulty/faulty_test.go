package faulty_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

func TestFaultyWithoutFaultsKeepsTheContract(t *testing.T) {
	storagetest.Run(t, storagetest.Config{
		Open:          func(*testing.T) storage.Store { return faulty.New(memory.New(0)) },
		OpenWithQuota: func(_ *testing.T, maxBytes int64) storage.Store { return faulty.New(memory.New(maxBytes)) },
		Is:            func(s storage.Store) bool { _, ok := s.(*faulty.Store); return ok },
		OpenReadOnly: func(t *testing.T, objects map[string]string) storage.Store {
			s := faulty.New(memory.New(0))
			for key, content := range objects {
				require.NoError(t, s.Put(t.Context(), key, strings.NewReader(content), int64(len(content))))
			}
			s.InjectAll(failure.New(failure.AuthFailed, "write", "access denied", "Give the user the right to write."),
				faulty.Put, faulty.Copy, faulty.Delete)
			return s
		},
		OpenBroken: func(*testing.T) storagetest.Broken {
			s := faulty.New(memory.New(0))
			return storagetest.Broken{Store: s, Cut: s.Cut, Restore: s.Clear}
		},
		Without: map[storagetest.Check]string{storagetest.Full: "memory has no device; its limit is the quota"},
	})
}

func TestFaultsHitTheCallsTheyAreScriptedFor(t *testing.T) {
	ctx, boom := context.Background(), errors.New("boom")
	s := faulty.New(memory.New(0))
	put := func(key string) error { return s.Put(ctx, key, strings.NewReader("0123"), 4) }
	s.Inject(faulty.Fault{Op: faulty.Put, Key: "chunk", From: 2, Times: 1, Err: boom})
	require.NoError(t, put("other"))
	require.NoError(t, put("chunk/1"))
	require.ErrorIs(t, put("chunk/2"), boom)
	require.NoError(t, put("chunk/3"))
	require.Equal(t, 4, s.Calls(faulty.Put))

	read := func() string {
		body, err := s.Get(ctx, "chunk/1", 0, -1)
		require.NoError(t, err)
		content, err := io.ReadAll(body)
		require.NoError(t, err)
		return string(content)
	}
	s.Inject(faulty.Fault{Op: faulty.Get, Times: 1, Damage: true, Flip: 2})
	s.Inject(faulty.Fault{Op: faulty.Get, Times: 1, Cut: true, Truncate: 1})
	require.Equal(t, "0133", read())
	require.Equal(t, "0", read())
	require.Equal(t, "0123", read())

	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	s.Inject(faulty.Fault{Op: faulty.Sync, Block: make(chan struct{})})
	require.ErrorIs(t, s.Sync(cancelled), context.Canceled)
	s.Clear()
	require.NoError(t, s.Sync(ctx))
}
