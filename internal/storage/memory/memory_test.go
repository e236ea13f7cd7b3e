package memory_test

import (
	"testing"

	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	storagetest.Run(t, storagetest.Config{
		Open:          func(*testing.T) storage.Store { return memory.New(0) },
		OpenWithQuota: func(_ *testing.T, maxBytes int64) storage.Store { return memory.New(maxBytes) },
		Is:            func(s storage.Store) bool { _, ok := s.(*memory.Store); return ok },
		Without: map[storagetest.Check]string{
			storagetest.Full:             "memory has no device; its limit is the quota",
			storagetest.PermissionDenied: "memory belongs to the process",
			storagetest.BrokenConnection: "memory has no connection; package faulty plays one",
		},
	})
}
