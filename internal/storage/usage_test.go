package storage_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/storage"
)

func TestALocationIsFullBeforeNothingFits(t *testing.T) {
	const gib, mb = 1 << 30, 1_000_000
	for name, c := range map[string]struct {
		usage storage.Usage
		full  bool
	}{
		"nothing is free":                       {storage.Usage{Available: 0, Capacity: 100 * gib}, true},
		"less than 1 GiB is free":               {storage.Usage{Available: gib - 1, Capacity: 10 * gib}, true},
		"1 GiB of 10 is free":                   {storage.Usage{Available: gib, Capacity: 10 * gib}, false},
		"less than 5 % is free":                 {storage.Usage{Available: 49 * gib, Capacity: 1000 * gib}, true},
		"5 % is free":                           {storage.Usage{Available: 50 * gib, Capacity: 1000 * gib}, false},
		"a quota of 500 MB with nothing stored": {storage.Usage{Available: 500 * mb, Capacity: 500 * mb}, false},
		"a quota of 500 MB with 50 MB left":     {storage.Usage{Available: 50 * mb, Capacity: 500 * mb}, false},
		"a quota of 500 MB with 49 MB left":     {storage.Usage{Available: 49 * mb, Capacity: 500 * mb}, true},
		"a quota that is reached":               {storage.Usage{Available: 0, Capacity: 500 * mb}, true},
		"a quota of some bytes":                 {storage.Usage{Available: 5, Capacity: 5}, false},
		"no space at all":                       {storage.Usage{Available: 0, Capacity: 0}, true},
		"what is free is unknown":               {storage.Usage{Available: -1, Capacity: -1}, false},
		"how large it is is unknown":            {storage.Usage{Available: gib, Capacity: -1}, false},
		"less than 1 GiB of an unknown whole":   {storage.Usage{Available: gib - 1, Capacity: -1}, true},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.full, c.usage.Full()) })
	}
}
