package archive

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"
)

// TestAChunkIDIsTheKeyedBLAKE3 of another implementation, at every length at which the tree changes its shape.
func TestAChunkIDIsTheKeyedBLAKE3(t *testing.T) {
	key := [32]byte{1, 2, 3, 31: 4}
	hasher := newChunkHasher(key)
	input := dumpText(5, 2*mib)
	for _, about := range []int{0, 1 * kib, 2 * kib, 15 * kib, 16 * kib, 17 * kib, 32 * kib, 48 * kib, 64 * kib, 80 * kib, 1 * mib, 1*mib + 16*kib, 2*mib - 1} {
		for length := max(0, about-1); length <= about+1; length++ {
			want, err := blake3.NewKeyed(key[:])
			require.NoError(t, err)
			_, _ = want.Write(input[:length])
			require.Equal(t, want.Sum(nil), hasher.id(input[:length]).bytes(), "%d bytes", length)
		}
	}
}

func (id ChunkID) bytes() []byte { return id[:] }

func BenchmarkChunkID(b *testing.B) {
	input, hasher := dumpText(6, 1*mib+12345), newChunkHasher([32]byte{1})
	b.SetBytes(int64(len(input)))
	for b.Loop() {
		hasher.id(input)
	}
}
