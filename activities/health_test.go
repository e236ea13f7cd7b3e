package activities

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

func TestTheStatusOfALocationFollowsFromItsProbe(t *testing.T) {
	unknown := storage.Usage{Used: -1, Available: -1, Capacity: -1}
	roomy := storage.Usage{Available: 80 << 30, Capacity: 100 << 30}
	for name, c := range map[string]struct {
		usage storage.Usage
		err   error
		want  domain.StorageLocationStatus
	}{
		"it works":                      {roomy, nil, domain.StorageHealthy},
		"it works, its size is unknown": {unknown, nil, domain.StorageHealthy},
		"hardly anything is free":       {storage.Usage{Available: 1 << 20, Capacity: 100 << 30}, nil, domain.StorageIsFull},
		"the probe did not fit":         {unknown, failure.New(failure.StorageFull, "put", "no space", ""), domain.StorageIsFull},
		"it can not be reached":         {unknown, failure.New(failure.Unreachable, "open", "no route", ""), domain.StorageUnreachable},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, locationStatus(c.usage, c.err)) })
	}
}
