package recovery

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/open"
	"github.com/dataguardian/dataguardian/internal/storage/s3/s3server"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

const bucket = "backups"

// remotes are locations on real servers, empty, and a change that makes each refuse.
func remotes(t *testing.T) map[Location]func(*domain.StorageConfig) {
	t.Helper()
	s3, err := s3server.Start(t.Context(), s3server.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s3.Stop)
	require.NoError(t, s3.CreateBucket(t.Context(), bucket))
	ssh := sshserver.Start(t, sshserver.Options{})
	return map[Location]func(*domain.StorageConfig){
		{domain.StorageS3, s3.Config(domain.StorageS3, bucket, "of/one")}:      func(c *domain.StorageConfig) { c.SecretAccessKey = wrong },
		{domain.StorageMinIO, s3.Config(domain.StorageMinIO, bucket, "minio")}: func(c *domain.StorageConfig) { c.SecretKey = wrong },
		{domain.StorageBackblaze, s3.Config(domain.StorageBackblaze, bucket, "")}: func(c *domain.StorageConfig) {
			c.ApplicationKey = wrong
		},
		{domain.StorageSSH, ssh.Config(filepath.Join(t.TempDir(), "backups"))}: func(c *domain.StorageConfig) {
			c.PrivateKey, c.Password = "", wrong
		},
	}
}

const wrong = "not-the-secret-4711"

// opened reads the location's document, as the recovery kit prints it, and opens it.
func (l Location) opened(t *testing.T) storage.Store {
	t.Helper()
	document, err := json.Marshal(l)
	require.NoError(t, err)
	read, err := ReadLocation(bytes.NewReader(document))
	require.NoError(t, err)
	store, err := read.Open(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestBackupsOnServersAreRecoveredWithoutAPlatform(t *testing.T) {
	for location, refuse := range remotes(t) {
		t.Run(string(location.Type), func(t *testing.T) {
			id, err := age.GenerateX25519Identity()
			require.NoError(t, err)
			normal := location.Config
			normal.Normalize(location.Type)
			f := fixture{id: id}
			f.store, err = open.Open(t.Context(), location.Type, normal)
			require.NoError(t, err)
			t.Cleanup(func() { _ = f.store.Close() })
			data := noise(3, 300_000)
			execution := f.backUp(t, newSource("orders"), started, map[string][]byte{"database": data}, id.Recipient())

			r := &Recovery{Store: location.opened(t), Identities: []age.Identity{id}}
			entries, err := r.List(t.Context(), "")
			require.NoError(t, err)
			require.Len(t, entries, 1)
			require.Equal(t, execution, entries[0].ExecutionID)
			require.Empty(t, entries[0].Problem)
			found := f.find(t, r, Latest)
			for _, full := range []bool{false, true} {
				checked, err := r.Verify(t.Context(), found, full)
				require.NoError(t, err)
				require.EqualValues(t, len(found.Manifest.Objects), checked.Objects)
			}
			var got bytes.Buffer
			_, err = r.Dump(t.Context(), found, "database", &got)
			require.NoError(t, err)
			require.Equal(t, data, got.Bytes())
			folder := filepath.Join(t.TempDir(), "out")
			require.NoError(t, r.Restore(t.Context(), found, Target{Folder: folder}, RestoreOptions{}))
			requireFile(t, filepath.Join(folder, "database"), data)

			refuse(&location.Config)
			store, err := location.Open(t.Context())
			if err == nil { // a bucket is first asked when something is wanted of it
				t.Cleanup(func() { _ = store.Close() })
				_, err = (&Recovery{Store: store}).List(t.Context(), "")
			}
			require.Equal(t, failure.AuthFailed, failure.ClassOf(err), "%v", err)
			require.Contains(t, failure.HintOf(err), "Check ")
			require.NotContains(t, failure.Message(err), wrong)
		})
	}
}

func TestADirectoryOfAServerIsReadAndNeverMade(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	location := Location{domain.StorageSSH, server.Config(filepath.Join(t.TempDir(), "not-mounted"))}
	_, err := location.Open(t.Context())
	require.Equal(t, failure.NotFound, failure.ClassOf(err), "%v", err)
	require.Contains(t, failure.HintOf(err), "Mount the disk")
	require.NoDirExists(t, location.Config.RemotePath)
	require.NoError(t, os.Mkdir(location.Config.RemotePath, 0o700))
	_, err = (&Recovery{Store: location.opened(t)}).Find(t.Context(), Ref{Backup: Latest})
	require.Equal(t, failure.NotFound, failure.ClassOf(err), "%v", err)
	requireEntries(t, location.Config.RemotePath)
}
