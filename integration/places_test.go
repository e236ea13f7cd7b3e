package integration

import (
	"context"
	"net"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/s3/s3server"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// place is where a test keeps backups: a disk, or a real server of its own on this machine.
type place struct {
	kind    domain.StorageLocationType
	config  domain.StorageConfig
	dir     string // where its objects lie as files
	address string // of the server, as messages name it
	stop    func()
	restart func() error // on the same port, with the same data
}

func disk(path string) place {
	return place{kind: domain.StorageLocal, dir: path, config: domain.StorageConfig{Path: path}}
}

// newPlace starts a server for storage locations of a type. It ends with the test.
func newPlace(t *testing.T, kind domain.StorageLocationType) place {
	t.Helper()
	switch kind {
	case domain.StorageLocal:
		return disk(filepath.Join(t.TempDir(), "disk"))
	case domain.StorageSSH:
		server := sshserver.Start(t, sshserver.Options{})
		root := filepath.Join(t.TempDir(), "nas")
		return place{
			kind: kind, config: server.Config(root), dir: root, address: net.JoinHostPort(server.Host, strconv.Itoa(server.Port)),
			stop: func() { server.Stop(t) }, restart: func() error { server.Run(t); return nil },
		}
	default:
		const prefix = "of/one"
		server := startS3(t, s3server.Options{Dir: t.TempDir()}, bucket)
		return place{
			kind: kind, config: server.Config(kind, bucket, prefix), dir: filepath.Join(server.Dir(bucket), prefix), address: server.Address,
			stop: server.Stop, restart: func() error { return server.Restart(context.Background()) },
		}
	}
}

// startS3 starts a server, which has a bucket and ends with the test.
func startS3(t *testing.T, opts s3server.Options, bucket string) *s3server.Server {
	t.Helper()
	server, err := s3server.Start(context.Background(), opts)
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	require.NoError(t, server.CreateBucket(t.Context(), bucket))
	return server
}

// register makes the place a storage location.
func (p place) register(t *testing.T, name, pool string) client.StorageLocation {
	t.Helper()
	location, err := shared.owner.StorageLocations.Create(t.Context(), client.StorageLocationDocument{
		Name: name, Type: p.kind, Pool: pool, Config: p.config,
	})
	require.NoError(t, err)
	return location
}

// secrets are texts of one line that must show nowhere.
func (p place) secrets() []string {
	var secrets []string
	for _, value := range p.config.SecretValues() {
		lines := strings.Split(value, "\n")
		secrets = append(secrets, lines[len(lines)/2])
	}
	return secrets
}

func TestABackupToEveryTypeOfStorageRestores(t *testing.T) {
	for _, kind := range domain.StorageTypes() {
		t.Run(string(kind), func(t *testing.T) {
			s := newSetup(t, withRows(5_000), withNoise(5), withStorage(newPlace(t, kind)))
			backup := s.backUp(t)
			require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
			require.Empty(t, backup.Metadata.Warnings)
			require.True(t, backup.Metadata.Verification.OK)
			require.Equal(t, domain.VerifyFull, backup.Metadata.Verification.Mode)
			require.Len(t, s.chunks(t), s.chunkRows(t, backup))
			checked := verify(t, backup, domain.VerifyFull)
			require.True(t, checked.Verification.OK, checked.Verification.Message)
			root, manifest := s.files(t, ""), backup.Metadata.ManifestPath
			require.Equal(t, "folder", root[strings.SplitN(manifest, "/", 2)[0]].Type)
			require.Equal(t, "file", root["dataguardian.json"].Type)
			require.Len(t, root, 2)
			require.Contains(t, s.files(t, path.Dir(manifest)), manifest)
			_, content := s.download(t, manifest)
			require.Equal(t, s.onDisk(t, manifest), content)

			s.requireRestores(t, backup, s.database, "_copy")
			for _, secret := range s.place.secrets() {
				s.requireNowhere(t, backup, secret)
			}
			s.remove(t, backup)
			require.Empty(t, s.objects(t))
		})
	}
}
