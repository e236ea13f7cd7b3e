package postgres

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestAPieceWhoseLengthMakesNoSenseIsDamage(t *testing.T) {
	number := func(n uint64) []byte { return binary.LittleEndian.AppendUint64([]byte{0}, n) }
	for name, length := range map[string]uint64{"longer than anything": math.MaxInt64, "negative": 1 << 63, "minus one": math.MaxUint64} {
		t.Run(name, func(t *testing.T) {
			block := bytes.Join([][]byte{{blockData}, number(7), number(3), []byte("abc"), number(length), []byte("def")}, nil)
			r, err := newBlockReader(bytes.NewReader(block), 8, dataBlock{id: 7}, true)
			require.NoError(t, err)
			_, err = io.ReadAll(r)
			require.Equal(t, failure.Corrupt, failure.ClassOf(err), "%v", err)
		})
	}
}
