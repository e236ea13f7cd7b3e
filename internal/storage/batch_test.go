package storage_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
	"github.com/dataguardian/dataguardian/internal/storage/retry"
)

func TestManyObjectsAreDeletedFromAStoreWithoutBatches(t *testing.T) {
	ctx := context.Background()
	locked := failure.New(failure.Unsupported, "delete", "locked", "wait")
	gone := failure.New(failure.Unreachable, "delete", "gone", "")
	for name, test := range map[string]struct {
		fault *faulty.Fault
		left  []string
		err   error
	}{
		"all of them":                              {nil, nil, nil},
		"all but the one that is refused":          {&faulty.Fault{Op: faulty.Delete, Key: "b", Err: locked}, []string{"b"}, locked},
		"all of them, because it is tried again":   {&faulty.Fault{Op: faulty.Delete, Key: "b", Err: gone, Times: 1}, nil, nil},
		"not what stays out of reach, and says so": {&faulty.Fault{Op: faulty.Delete, Err: gone}, []string{"a", "b", "c"}, gone},
	} {
		t.Run(name, func(t *testing.T) {
			inner := faulty.New(memory.New(0))
			for _, key := range []string{"a", "b", "c"} {
				require.NoError(t, inner.Put(ctx, key, strings.NewReader("x"), 1))
			}
			if test.fault != nil {
				inner.Inject(*test.fault)
			}
			store := retry.New(inner, retry.Options{Retries: 2, FirstDelay: 1, Outage: 50 * time.Millisecond})
			err := storage.DeleteMany(ctx, store, []string{"a", "never there", "b", "c"})
			if test.err == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, test.err)
			}
			var left []string
			require.NoError(t, inner.List(ctx, "", func(o storage.Object) error { left = append(left, o.Key); return nil }))
			require.Equal(t, test.left, left)
		})
	}
}
