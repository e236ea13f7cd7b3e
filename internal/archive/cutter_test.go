package archive

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"
	_ "github.com/PlakarKorp/go-cdc-chunkers/chunkers/fastcdc" // registers chunkerAlgorithm
	"github.com/stretchr/testify/require"
)

// libraryCuts are the lengths of the chunks that the library cuts.
func libraryCuts(t *testing.T, p Params, key [32]byte, data []byte) (lengths []int) {
	t.Helper()
	chunker, err := chunkers.NewChunker(chunkerAlgorithm, bytes.NewReader(data), &chunkers.ChunkerOpts{
		MinSize: p.Min, NormalSize: p.Average, MaxSize: p.Max, Key: key[:],
	})
	require.NoError(t, err)
	for {
		chunk, err := chunker.Next()
		if len(chunk) > 0 {
			lengths = append(lengths, len(chunk))
		}
		if errors.Is(err, io.EOF) {
			return lengths
		}
		require.NoError(t, err)
	}
}

// ourCuts feeds the cutter pieces of random length.
func ourCuts(p Params, key [32]byte, data []byte, random *rand.Rand, longest int) (lengths []int) {
	c := newCutter(p, key)
	length := 0
	for len(data) > 0 {
		piece := data[:min(len(data), 1+random.IntN(longest))]
		for len(piece) > 0 {
			n, ends := c.scan(piece)
			piece, data, length = piece[n:], data[n:], length+n
			if ends {
				lengths, length = append(lengths, length), 0
			}
		}
	}
	if length > 0 {
		lengths = append(lengths, length)
	}
	return lengths
}

func TestTheCutterCutsWhereTheLibraryDoes(t *testing.T) {
	inputs := map[string][]byte{
		"text": dumpText(3, 6*mib), "noise": noise(3, 6*mib), "zeros": make([]byte, 3*mib), "a byte": {1}, "nothing": nil,
		"exactly the longest chunk": make([]byte, 2*mib),
	}
	for name, data := range inputs {
		for _, p := range []Params{small, ParamsFor(0), {Average: 64 * kib, Min: 16 * kib, Max: 256 * kib}} {
			seed := rand.Uint64()
			random := rand.New(rand.NewPCG(seed, 3))
			key := [32]byte{byte(random.Uint32()), byte(random.Uint32())}
			want := libraryCuts(t, p, key, data)
			for _, longest := range []int{100, 100_000, 8 * mib} {
				require.Equal(t, want, ourCuts(p, key, data, random, longest), "%s, %+v, pieces up to %d, seed %d", name, p, longest, seed)
			}
		}
	}
}

// BenchmarkCut compares the cutter with the library on the same data.
func BenchmarkCut(b *testing.B) {
	data, p, key := dumpText(1, 64*mib), ParamsFor(0), [32]byte{1}
	b.Run("cutter", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			c := newCutter(p, key)
			for rest := data; len(rest) > 0; {
				n, _ := c.scan(rest)
				rest = rest[n:]
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			chunker, err := chunkers.NewChunkerBuffer(chunkerAlgorithm, bytes.NewReader(data), &chunkers.ChunkerOpts{
				MinSize: p.Min, NormalSize: p.Average, MaxSize: p.Max, Key: key[:],
			}, make([]byte, 16*mib))
			require.NoError(b, err)
			for err == nil {
				_, err = chunker.Next()
			}
		}
	})
}
