package archive

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// partedText is a stream of parts that gives pieces of random length.
type partedText struct {
	data   []byte
	starts []int64
	random *rand.Rand
	passed int64
	found  []int64
}

func partsOf(seed uint64, parts ...[]byte) *partedText {
	p := &partedText{random: rand.New(rand.NewPCG(seed, 4))}
	for _, part := range parts {
		p.starts = append(p.starts, int64(len(p.data)))
		p.data = append(p.data, part...)
	}
	return p
}

func (p *partedText) Read(into []byte) (int, error) {
	p.found = p.found[:0]
	if p.passed == int64(len(p.data)) {
		return 0, io.EOF
	}
	n := copy(into[:min(len(into), 1+p.random.IntN(9000))], p.data[p.passed:])
	for len(p.starts) > 0 && p.starts[0] < p.passed+int64(n) {
		p.found, p.starts = append(p.found, p.starts[0]), p.starts[1:]
	}
	p.passed += int64(n)
	return n, nil
}

func (p *partedText) Parts() []int64 { return p.found }

func writeParts(t *testing.T, opts WriterOptions, r io.Reader) *Manifest {
	t.Helper()
	ctx := context.Background()
	w, err := NewWriter(ctx, opts)
	require.NoError(t, err)
	require.NoError(t, w.WriteStream(ctx, StreamMeta{Name: "main", Format: "text"}, r))
	result, err := w.Commit(ctx, testHeader(), testManifestKey())
	require.NoError(t, err)
	return result.Manifest
}

func TestWhatChangesInOnePartStoresNothingOfItsNeighbours(t *testing.T) {
	id := identity(t)
	first, second, third := dumpText(1, 50_123), dumpText(2, 60_077), dumpText(3, 40_001)
	for seed := range uint64(5) {
		store := newMemory()
		before := writeParts(t, options(store, id.Recipient()), partsOf(seed, first, second, third))
		require.Equal(t, slices.Concat(first, second, third), readBack(t, store, before, id))
		changed := dumpText(100+seed, 60_000)
		after := writeParts(t, options(newMemory(), id.Recipient()), partsOf(1000+seed, first, changed, third))

		known, fresh := map[ChunkID]bool{}, int64(0)
		for _, object := range before.Objects {
			known[object.ID] = true
		}
		for _, object := range after.Objects {
			if !known[object.ID] {
				fresh += object.PlainBytes
			}
		}
		require.Equal(t, int64(len(changed)), fresh, "seed %d", seed)
	}
}

func TestShortPartsMakeNoShortChunks(t *testing.T) {
	var parts [][]byte
	for seed := range uint64(300) {
		parts = append(parts, dumpText(seed, 100+int(seed)))
	}
	m := writeParts(t, options(newMemory()), partsOf(1, parts...))
	chunks := m.Streams[0].Chunks
	ends := map[int]bool{}
	for at, i := 0, 0; i < len(parts); i++ {
		at += len(parts[i])
		ends[at] = true
	}
	at, atEnds := 0, 0
	for i, chunk := range chunks {
		size := int(m.Objects[chunk].PlainBytes)
		if i < len(chunks)-1 {
			require.GreaterOrEqual(t, size, small.Min)
		}
		if at += size; ends[at] {
			atEnds++
		}
	}
	require.Greater(t, atEnds, len(chunks)/2, "most chunks end where a part does")
}

func TestAStreamOfOnePartIsCutAsOneWithoutParts(t *testing.T) {
	text := dumpText(5, 200_000)
	require.Equal(t, writeParts(t, options(newMemory()), bytes.NewReader(text)).Objects, writeParts(t, options(newMemory()), partsOf(1, text)).Objects)
}
