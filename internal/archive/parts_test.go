package archive

import (
	"bytes"
	"context"
	"errors"
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

// TestWhatAStreamSaysOfItsPartsWithoutGivingAnythingIsNotAsked: at its end, or with an error, a stream may still name the parts
// of the read before, or parts that it has not given.
func TestWhatAStreamSaysOfItsPartsWithoutGivingAnythingIsNotAsked(t *testing.T) {
	text := dumpText(6, 3000)
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF} {
		for _, stale := range [][]int64{{0, 10, 2990}, {3001, 5000}} {
			w, err := NewWriter(context.Background(), options(newMemory()))
			require.NoError(t, err)
			err = w.WriteStream(context.Background(), StreamMeta{Name: "main", Format: "text"}, &endingText{text: text, end: end, stale: stale})
			if errors.Is(end, io.EOF) {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, end)
			}
		}
	}
}

// endingText gives its text at once, then its end, and names stale parts with it.
type endingText struct {
	text  []byte
	end   error
	stale []int64
	parts []int64
}

func (e *endingText) Read(p []byte) (int, error) {
	if len(e.text) == 0 {
		e.parts = e.stale
		return 0, e.end
	}
	n := copy(p, e.text)
	e.text = e.text[n:]
	return n, nil
}

func (e *endingText) Parts() []int64 { return e.parts }

func TestAStreamOfOnePartIsCutAsOneWithoutParts(t *testing.T) {
	text := dumpText(5, 200_000)
	require.Equal(t, writeParts(t, options(newMemory()), bytes.NewReader(text)).Objects, writeParts(t, options(newMemory()), partsOf(1, text)).Objects)
}
