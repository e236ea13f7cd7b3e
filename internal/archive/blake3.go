package archive

import (
	"encoding/binary"

	"lukechampine.com/blake3/guts"
)

// treePiece is how much of an input guts hashes side by side.
const treePiece = guts.MaxSIMD * guts.ChunkSize

// chunkHasher makes chunk ids: BLAKE3-256 keyed with a key, of a whole plaintext in memory, in the calling goroutine:
// chunks are what runs in parallel.
type chunkHasher [8]uint32

func newChunkHasher(key [32]byte) *chunkHasher {
	var h chunkHasher
	for i := range h {
		h[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	return &h
}

func (h *chunkHasher) id(plaintext []byte) ChunkID {
	root := h.node(plaintext, 0)
	root.Flags |= guts.FlagRoot
	hash := guts.WordsToBytes(guts.CompressNode(root))
	return ChunkID(hash[:32])
}

// node is the node of BLAKE3's tree above input, which begins with its piece number first of 1 KiB. The left
// half of a tree is the largest power of two of pieces that leaves something to the right one.
func (h *chunkHasher) node(input []byte, first uint64) guts.Node {
	if len(input) <= treePiece {
		return h.leaves(input, first)
	}
	left := treePiece
	for 2*left < len(input) {
		left *= 2
	}
	return guts.ParentNode(
		guts.ChainingValue(h.node(input[:left], first)),
		guts.ChainingValue(h.node(input[left:], first+uint64(left/guts.ChunkSize))), (*[8]uint32)(h), guts.FlagKeyedHash)
}

// leaves takes an array, which a shorter input is copied into.
func (h *chunkHasher) leaves(input []byte, first uint64) guts.Node {
	if len(input) == treePiece {
		return guts.CompressBuffer((*[treePiece]byte)(input), treePiece, (*[8]uint32)(h), first, guts.FlagKeyedHash)
	}
	var short [treePiece]byte
	return guts.CompressBuffer(&short, copy(short[:], input), (*[8]uint32)(h), first, guts.FlagKeyedHash)
}
