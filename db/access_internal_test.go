package db

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatAUserMayDoIsBelievedOfItsStateAndForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k knownAccess
		_, is := k.of("ana", 1)
		require.False(t, is)
		k.keep("ana", access{state: 7, permissions: []string{"jobs.read"}})
		for _, other := range []int64{6, 8} {
			_, is = k.of("ana", other)
			require.False(t, is, other)
		}
		_, is = k.of("bob", 7)
		require.False(t, is)
		time.Sleep(knownAccessFor - time.Nanosecond)
		known, is := k.of("ana", 7)
		require.True(t, is)
		require.Equal(t, []string{"jobs.read"}, known.permissions)
		time.Sleep(time.Nanosecond)
		_, is = k.of("ana", 7)
		require.False(t, is)

		for i := range 3 * mostKnownAccess {
			k.keep(strconv.Itoa(i), access{})
			require.LessOrEqual(t, len(k.byUser), mostKnownAccess)
		}
	})
}
