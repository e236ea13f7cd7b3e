package s3_test

import (
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/s3"
	"github.com/dataguardian/dataguardian/internal/storage/s3/s3server"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

func TestEveryS3ServiceKeepsTheContract(t *testing.T) {
	for _, kind := range []domain.StorageLocationType{domain.StorageS3, domain.StorageMinIO, domain.StorageBackblaze} {
		t.Run(string(kind), func(t *testing.T) {
			config := suiteOn(kind, server)
			if kind != domain.StorageS3 {
				const once = "TestEveryS3ServiceKeepsTheContract/s3 makes it, with the same client"
				config.OpenBroken = nil
				config.Without[storagetest.BrokenConnection] = once
				config.Without[storagetest.LargeObject] = once
				config.Without[storagetest.ManyObjects] = once
			}
			storagetest.Run(t, config)
		})
	}
}

var withMinIO = flag.Bool("s3.minio", false, "also run the suite on a MinIO server, which takes minutes to build")

func TestMinIOKeepsTheContract(t *testing.T) {
	if !*withMinIO {
		t.Skip("MinIO takes too long to build for every run; ask for it with -s3.minio")
	}
	storagetest.Run(t, suiteOn(domain.StorageMinIO, start(t, s3server.Options{Kind: s3server.MinIO})))
}

// suiteOn is the suite for locations of a type on a server.
func suiteOn(kind domain.StorageLocationType, on *s3server.Server) storagetest.Config {
	return storagetest.Config{
		Open: func(t *testing.T) storage.Store {
			store, err := s3.Open(t.Context(), options(t, kind, on, bucket(t, on), "some/where"))
			require.NoError(t, err)
			return store
		},
		Is: func(store storage.Store) bool { _, ok := store.(*s3.Store); return ok },
		OpenBroken: func(t *testing.T) storagetest.Broken {
			link := storagetest.NewLink(t, on.Address)
			opts := options(t, kind, on, bucket(t, on), "some/where")
			opts.Endpoint, opts.Patience = "http://"+link.Addr(), time.Second
			store, err := s3.Open(t.Context(), opts)
			require.NoError(t, err)
			return storagetest.Broken{Store: store, Cut: link.Cut, Restore: link.Restore}
		},
		Without: map[storagetest.Check]string{
			storagetest.Quota:            "DataGuardian enforces none on a bucket",
			storagetest.Full:             "TestAServerWhoseDiskIsFullIsFullAndNothingIsLeft makes it",
			storagetest.PermissionDenied: "TestAReadOnlyServiceIsSaidToRefuse makes it; of a large body versitygw resets the connection before its answer is read",
		},
		Parallel: 16, Secrets: []string{s3server.SecretKey},
	}
}
