package failure_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestTheSideThatWasToldFirstStays(t *testing.T) {
	disk := failure.Subject{Side: failure.Storage, Name: `storage location "disk"`}
	orders := failure.Subject{Side: failure.Datasource, Name: `datasource "orders"`}
	plain := failure.New(failure.Unreachable, "read", "connection reset", "Start it.")
	for name, c := range map[string]struct {
		err  error
		side failure.Side
		text string
	}{
		"an error that is about nothing has no side":        {plain, "", "read: connection reset"},
		"a subject tells the side":                          {failure.WithSubject(plain, disk), failure.Storage, `storage location "disk": read: connection reset`},
		"a text tells none":                                 {failure.WithSubject(plain, "the file"), "", "the file: read: connection reset"},
		"a second subject changes nothing":                  {failure.WithSubject(failure.WithSubject(plain, disk), orders), failure.Storage, `storage location "disk": read: connection reset`},
		"what the source told is not the storage's":         {failure.WithSubject(failure.WithSide(plain, failure.Datasource), disk), failure.Datasource, "read: connection reset"},
		"its own subject names it":                          {failure.WithSubject(failure.WithSide(plain, failure.Datasource), orders), failure.Datasource, `datasource "orders": read: connection reset`},
		"it is found behind other errors":                   {fmt.Errorf("dump: %w", failure.WithSubject(plain, disk)), failure.Storage, `dump: storage location "disk": read: connection reset`},
		"it is found among joined errors":                   {errors.Join(plain, failure.WithSubject(plain, disk)), failure.Storage, "read: connection reset\n" + `storage location "disk": read: connection reset`},
		"wrapping puts what was tried in front and no more": {failure.Wrap(failure.Unknown, "dump", failure.WithSubject(plain, disk), ""), failure.Storage, `storage location "disk": dump: storage location "disk": read: connection reset`},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.side, failure.SideOf(c.err))
			require.Equal(t, c.text, c.err.Error())
			require.Equal(t, failure.Unreachable, failure.ClassOf(c.err))
			require.Equal(t, "Start it.", failure.HintOf(c.err))
		})
	}
	require.NoError(t, failure.WithSide(nil, failure.Storage))
	require.NoError(t, failure.WithSubject(nil, disk))
}
