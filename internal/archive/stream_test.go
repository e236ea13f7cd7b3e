package archive

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20poly1305"
)

// lengths are those at which the pieces of an age file change their number or the last one its length.
var lengths = []int{0, 1, payloadPiece - 1, payloadPiece, payloadPiece + 1, 2 * payloadPiece, 3*payloadPiece + 12345}

func TestAnAgeFileIsDecryptedInPlaceAsAgeDoes(t *testing.T) {
	mine, other := identity(t), identity(t)
	for _, length := range lengths {
		plaintext := dumpText(3, length)
		object, err := encrypt(plaintext, []age.Recipient{other.Recipient(), mine.Recipient()})
		require.NoError(t, err)
		got, err := decryptInPlace(object, []age.Identity{mine})
		require.NoError(t, err, "%d bytes", length)
		require.True(t, bytes.Equal(plaintext, got), "%d bytes", length)
	}
}

// TestNoChangedAgeFileIsDecrypted: whatever age refuses is refused here, too.
func TestNoChangedAgeFileIsDecrypted(t *testing.T) {
	id := identity(t)
	for _, length := range lengths {
		object, err := encrypt(dumpText(4, length), []age.Recipient{id.Recipient()})
		require.NoError(t, err)
		payload, err := payloadOf(object)
		require.NoError(t, err)
		begin := len(object) - len(payload) + payloadNonce
		refused := func(what string, changed []byte) {
			t.Helper()
			what = fmt.Sprintf("%d bytes: %s", length, what)
			_, err := ageDecrypt(changed, id)
			require.Error(t, err, "age takes it: %s", what)
			_, err = decryptInPlace(bytes.Clone(changed), []age.Identity{id})
			require.Error(t, err, what)
		}
		refused("longer by a byte", append(bytes.Clone(object), 0))
		refused("longer by an empty piece", append(bytes.Clone(object), make([]byte, chacha20poly1305.Overhead)...))
		for _, end := range []int{0, 10, begin - payloadNonce - 1, begin - payloadNonce, begin - 1, begin, begin + 1, begin + chacha20poly1305.Overhead - 1, len(object) - 1} {
			refused(fmt.Sprintf("cut at %d", end), object[:end])
		}
		for at := begin; at+sealedPiece < len(object); at += sealedPiece {
			refused("a whole number of pieces", object[:at+sealedPiece])
		}
		for at := begin; at+2*sealedPiece <= len(object); at += sealedPiece {
			swapped := append(bytes.Clone(object[:at]), object[at+sealedPiece:at+2*sealedPiece]...)
			refused("two pieces swapped", append(append(swapped, object[at:at+sealedPiece]...), object[at+2*sealedPiece:]...))
		}
		for _, at := range []int{0, 20, 60, begin - payloadNonce - 10, begin - payloadNonce, begin, len(object) - 1} {
			changed := bytes.Clone(object)
			changed[at] ^= 1
			refused(fmt.Sprintf("the byte at %d changed", at), changed)
		}
	}
}

func ageDecrypt(object []byte, id age.Identity) ([]byte, error) {
	plaintext, err := age.Decrypt(bytes.NewReader(object), id)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plaintext)
}

func TestTheWrongIdentityIsToldFromADamagedFile(t *testing.T) {
	object, err := encrypt([]byte("text"), []age.Recipient{identity(t).Recipient()})
	require.NoError(t, err)
	_, err = decryptInPlace(object, []age.Identity{identity(t)})
	var mismatch *age.NoIdentityMatchError
	require.ErrorAs(t, err, &mismatch)
}
