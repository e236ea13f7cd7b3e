package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/demo/dbcompare"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/recovery"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/open"
	"github.com/dataguardian/dataguardian/internal/storage/s3/s3server"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// remote is a copy of the backups on a server.
type remote struct {
	location    recovery.Location
	environment []string // for what the document does not hold
}

// remotes copies the backups to servers.
func (l lost) remotes(t *testing.T) map[string]remote {
	t.Helper()
	const bucket = "backups"
	s3, err := s3server.Start(t.Context(), s3server.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s3.Stop)
	require.NoError(t, s3.CreateBucket(t.Context(), bucket))
	ssh := sshserver.Start(t, sshserver.Options{})
	remotes := map[string]remote{
		"s3":  {location: recovery.Location{Type: domain.StorageS3, Config: s3.Config(domain.StorageS3, bucket, "of/one")}},
		"ssh": {location: recovery.Location{Type: domain.StorageSSH, Config: ssh.Config(filepath.Join(t.TempDir(), "nas"))}},
	}
	for _, r := range remotes {
		l.copyTo(t, r.location)
	}
	ambient := remotes["s3"]
	ambient.location.Config.AccessKeyID, ambient.location.Config.SecretAccessKey = "", ""
	ambient.environment = []string{"AWS_ACCESS_KEY_ID=" + s3server.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s3server.SecretKey}
	remotes["s3 with the credentials of the environment"] = ambient
	return remotes
}

func (l lost) copyTo(t *testing.T, to recovery.Location) {
	t.Helper()
	to.Config.Normalize(to.Type)
	from, err := open.Open(t.Context(), domain.StorageLocal, domain.StorageConfig{Path: l.backups})
	require.NoError(t, err)
	defer func() { _ = from.Close() }()
	store, err := open.Open(t.Context(), to.Type, to.Config)
	require.NoError(t, err)
	defer func() { _ = store.Close() }()
	require.NoError(t, from.List(t.Context(), "", func(o storage.Object) error { return copyObject(t.Context(), from, store, o) }))
}

func copyObject(ctx context.Context, from, to storage.Store, o storage.Object) error {
	body, err := from.Get(ctx, o.Key, 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	return to.Put(ctx, o.Key, body, o.Size)
}

// testRemotes recovers from servers with the document that the recovery kit prints for a storage location.
func (l lost) testRemotes(t *testing.T) {
	local := l.withKit(t, "dump", "latest")
	require.Zero(t, local.code, local.stderr)
	for name, r := range l.remotes(t) {
		t.Run(name, func(t *testing.T) {
			document, err := json.Marshal(r.location)
			require.NoError(t, err)
			file := filepath.Join(t.TempDir(), "location.json")
			require.NoError(t, os.WriteFile(file, document, 0o600))
			recover := func(args ...string) outcome {
				args = append([]string{"recover", args[0], "--storage-config", file, "--identity", l.kit}, args[1:]...)
				return run(t, append(r.environment, "PGPASSWORD="+l.server.Password()), args...)
			}
			listed := recover("list", "-o", "json")
			require.Zero(t, listed.code, listed.stderr)
			var entries []recovery.Entry
			require.NoError(t, json.Unmarshal([]byte(listed.stdout), &entries))
			require.Len(t, entries, 1)
			require.Equal(t, l.execution, entries[0].ExecutionID)
			require.Empty(t, entries[0].Problem)
			verified := recover("verify", "--full")
			require.Zero(t, verified.code, verified.stderr)
			require.Contains(t, verified.stdout, "good "+l.execution)
			dumped := recover("dump", "latest")
			require.Zero(t, dumped.code, dumped.stderr)
			require.True(t, local.stdout == dumped.stdout)

			database := "recovered_" + name[:2]
			restored := recover("restore", "latest", "--to", l.target(t, database), "--drop-existing")
			require.Zero(t, restored.code, restored.stderr)
			compared, err := dbcompare.Compare(t.Context(), l.connect(t, demoDatabase), l.connect(t, database))
			require.NoError(t, err)
			require.True(t, compared.Equal(), compared.Differences())

			require.NoError(t, os.WriteFile(file, document[:len(document)/2], 0o600))
			refused := recover("list")
			require.Equal(t, exitFailed, refused.code)
			require.Contains(t, refused.stderr, "--storage-config")
			for _, secret := range r.location.Config.SecretValues() {
				require.NotContains(t, refused.stderr+listed.stderr+restored.stderr, secret[len(secret)/2:])
			}
		})
	}
}
