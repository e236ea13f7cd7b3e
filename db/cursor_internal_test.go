package db

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func FuzzCursor(f *testing.F) {
	_, next := pageOf([]int{1, 2}, Page{Limit: 1}, func(int) (time.Time, string) { return time.Unix(1, 0), uuid.Nil.String() })
	f.Add(next)
	for _, text := range []string{"", ".", "1.", "-1." + uuid.Nil.String(), "9223372036854775807." + uuid.Nil.String(), "1.urn:uuid:" + uuid.Nil.String()} {
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(text)))
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		at, err := Page{Cursor: cursor}.position()
		if err != nil {
			require.ErrorIs(t, err, ErrInvalidCursor)
			return
		}
		if cursor == "" {
			return
		}
		// What is taken for a place is one that Postgres knows.
		require.GreaterOrEqual(t, at.createdAt.Year(), 1)
		require.LessOrEqual(t, at.createdAt.Year(), 9999)
		require.NoError(t, uuid.Validate(*at.id))
		require.Len(t, *at.id, 36)
	})
}
