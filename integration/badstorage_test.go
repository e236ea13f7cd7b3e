package integration

import (
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/s3/s3server"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// badPlace is a storage location with which something is wrong, and what the test of a location says.
type badPlace struct {
	kind   domain.StorageLocationType
	config domain.StorageConfig
	status domain.HealthCheckStatus
	says   string // in the message
	hint   string // what to do
}

func (b badPlace) with(change func(*domain.StorageConfig)) badPlace {
	change(&b.config)
	return b
}

// bucket is the one that the S3 servers of tests have.
const bucket = "backups"

// Every one of them meets a real server or disk, and a person who reads the hint knows what to do.
func TestWhatIsWrongWithAStorageLocationIsSaidWithWhatToDo(t *testing.T) {
	t.Parallel()
	cases := badS3(t)
	for _, more := range []map[string]badPlace{badSSH(t), badDisks(t)} {
		for name, c := range more {
			cases[name] = c
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := shared.owner.TestStorageDraft(t.Context(), client.StorageDraft{Type: c.kind, Config: c.config})
			require.NoError(t, err)
			require.Equal(t, c.status, result.Status, "%+v", result)
			require.Contains(t, result.Message, c.says)
			require.Contains(t, result.Hint, c.hint, result.Message)
			for _, secret := range (place{config: c.config}).secrets() {
				require.NotContains(t, result.Message+result.Hint, secret)
			}
		})
	}
}

func badS3(t *testing.T) map[string]badPlace {
	t.Helper()
	server := startS3(t, s3server.Options{Dir: t.TempDir()}, bucket)
	elsewhere := startS3(t, s3server.Options{Dir: t.TempDir(), Region: "eu-west-3"}, bucket)
	expired, err := s3server.SelfSigned(t.TempDir(), "127.0.0.1", time.Now().Add(-time.Hour))
	require.NoError(t, err)
	secure := startS3(t, s3server.Options{Dir: t.TempDir(), CertFile: expired.CertFile, KeyFile: expired.KeyFile}, bucket)
	dir := t.TempDir()
	startS3(t, s3server.Options{Dir: dir}, bucket).Stop()
	readOnly, err := s3server.Start(t.Context(), s3server.Options{Dir: dir, ReadOnly: true})
	require.NoError(t, err)
	t.Cleanup(readOnly.Stop)
	full := startS3(t, s3server.Options{Dir: storagetest.SmallDir(t, 1<<20)}, bucket)
	fill(t, full.Dir(bucket))

	s3 := badPlace{kind: domain.StorageS3, config: server.Config(domain.StorageS3, bucket, "")}
	minio := badPlace{kind: domain.StorageMinIO, config: server.Config(domain.StorageMinIO, bucket, "")}
	backblaze := badPlace{kind: domain.StorageBackblaze, config: server.Config(domain.StorageBackblaze, bucket, "")}
	said := func(b badPlace, status domain.HealthCheckStatus, says, hint string) badPlace {
		b.status, b.says, b.hint = status, says, hint
		return b
	}
	const wrong = "not-the-secret-4711"
	secret := said(s3, domain.HealthAuthFailed, "SignatureDoesNotMatch", "Check the access key and its secret")
	missing := said(s3, domain.HealthError, "missing-bucket", "Create the bucket, or correct its name")
	region := said(s3, domain.HealthError, "eu-west-3", "Set the storage location's region to us-east-1.")
	return map[string]badPlace{
		"the secret of an s3 location is wrong": secret.with(func(c *domain.StorageConfig) { c.SecretAccessKey = wrong }),
		"the key of an s3 location is unknown": said(s3, domain.HealthAuthFailed, "access key ID", "Check the access key and its secret").
			with(func(c *domain.StorageConfig) { c.AccessKeyID = "nobody" }),
		"the secret of a minio location is wrong": said(minio, secret.status, secret.says, secret.hint).
			with(func(c *domain.StorageConfig) { c.SecretKey = wrong }),
		"the key of a backblaze location is wrong": said(backblaze, secret.status, secret.says, secret.hint).
			with(func(c *domain.StorageConfig) { c.ApplicationKey = wrong }),
		"the bucket of an s3 location is missing": missing.with(func(c *domain.StorageConfig) { c.Bucket = "missing-bucket" }),
		"the bucket of a minio location is missing": said(minio, missing.status, missing.says, missing.hint).
			with(func(c *domain.StorageConfig) { c.Bucket = "missing-bucket" }),
		"the bucket of a backblaze location is missing": said(backblaze, missing.status, missing.says, missing.hint).
			with(func(c *domain.StorageConfig) { c.BucketName = "missing-bucket" }),
		"the region of an s3 location is wrong":       region.with(func(c *domain.StorageConfig) { c.Region = "eu-west-3" }),
		"the region of a backblaze location is wrong": said(backblaze, region.status, region.says, region.hint).with(func(c *domain.StorageConfig) { c.Region = "eu-west-3" }),
		"a minio server has another region": said(badPlace{kind: minio.kind, config: elsewhere.Config(minio.kind, bucket, "")},
			domain.HealthError, "eu-west-3", "make this a storage location of type s3 with the same endpoint and region eu-west-3"),
		"the certificate of an s3 endpoint has expired": said(badPlace{kind: s3.kind, config: secure.Config(s3.kind, bucket, "")},
			domain.HealthError, "certificate has expired", "Renew the endpoint's certificate").
			with(func(c *domain.StorageConfig) { c.CACertificate = expired.PEM }),
		"a bucket may only be read": said(badPlace{kind: s3.kind, config: readOnly.Config(s3.kind, bucket, "")},
			domain.HealthAuthFailed, "AccessDenied", "Allow s3:GetObject, s3:PutObject"),
		"the disk of an s3 server is full": said(badPlace{kind: s3.kind, config: full.Config(s3.kind, bucket, "")},
			domain.HealthError, "storage is full", "Free space on the storage location"),
	}
}

func badSSH(t *testing.T) map[string]badPlace {
	t.Helper()
	server := sshserver.Start(t, sshserver.Options{})
	_, other, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	changed := sshserver.Start(t, sshserver.Options{})
	before := changed.Config(t.TempDir())
	changed.Stop(t)
	changed.NewHostKeys(t)
	changed.Run(t)
	readOnly := sshserver.Start(t, sshserver.Options{SFTPArgs: "-R"})
	full := storagetest.SmallDir(t, 1<<20)
	fill(t, full)
	protected := t.TempDir()
	storagetest.ReadOnlyDir(t, protected)
	const rights = "Give the server's user read, write and search rights on the directory"
	return map[string]badPlace{
		"the key of an ssh location is wrong": badPlace{domain.StorageSSH, server.Config(t.TempDir()), domain.HealthAuthFailed,
			"refuses user", "the key must be in the user's authorized_keys"}.
			with(func(c *domain.StorageConfig) { c.PrivateKey = sshserver.EncodeKey(t, other, "") }),
		"the host key of an ssh server has changed": {domain.StorageSSH, before, domain.HealthError,
			"has changed: SHA256:", "Somebody may be between"},
		"the folder of an ssh server is missing": {domain.StorageSSH, server.Config(filepath.Join(t.TempDir(), "not", "there")), domain.HealthError,
			"does not exist on the server", "Create it, or mount the disk it is on."},
		"an ssh server only lets read":             {domain.StorageSSH, readOnly.Config(t.TempDir()), domain.HealthAuthFailed, "permission denied", rights},
		"the folder of an ssh server is read-only": {domain.StorageSSH, server.Config(protected), domain.HealthAuthFailed, "permission denied", rights},
		"the disk of an ssh server is full":        {domain.StorageSSH, server.Config(full), domain.HealthError, "storage is full", "Free space on the storage location"},
	}
}

func badDisks(t *testing.T) map[string]badPlace {
	t.Helper()
	protected := t.TempDir()
	storagetest.ReadOnlyDir(t, protected)
	full := storagetest.SmallDir(t, 1<<20)
	fill(t, full)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	local := func(path, says, hint string) badPlace {
		return badPlace{domain.StorageLocal, domain.StorageConfig{Path: path}, domain.HealthError, says, hint}
	}
	quota := local(filepath.Join(t.TempDir(), "quota"), "storage is full", "of a local one: max_size_gb")
	readOnly := local(protected, "not permitted", "Give the worker's user read, write and search rights on the directory")
	readOnly.status = domain.HealthAuthFailed
	return map[string]badPlace{
		"the quota of a local location is reached":    quota.with(func(c *domain.StorageConfig) { c.MaxSizeGB = 1e-8 }), // ten bytes
		"the disk of a local location is full":        local(full, "storage is full", "Free space on the storage location"),
		"the folder of a local location is missing":   local(filepath.Join(t.TempDir(), "not", "there"), "does not exist", "Create it, or mount the disk it is on"),
		"the folder of a local location is no such":   local(file, "is not a directory", "Give the storage location a directory of its own"),
		"the folder of a local location is read-only": readOnly,
	}
}

// fill leaves no byte free on the file system of a directory.
func fill(t *testing.T, dir string) {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, "filler"))
	require.NoError(t, err)
	for _, size := range []int{64 << 10, 1} {
		for err = nil; err == nil; {
			_, err = file.Write(make([]byte, size))
		}
	}
	require.ErrorContains(t, err, "no space left")
	require.NoError(t, file.Close())
}

// What no trying again can mend is not tried again, and the job's owner reads the same hint.
func TestABackupToALocationThatRefusesFailsAtOnceWithWhatToDo(t *testing.T) {
	t.Parallel()
	s3, ssh := badS3(t), badSSH(t)
	for name, c := range map[string]struct {
		at    badPlace
		class string
	}{
		"a wrong secret":         {s3["the secret of an s3 location is wrong"], "AuthFailed"},
		"a missing bucket":       {s3["the bucket of a minio location is missing"], "ConfigInvalid"},
		"another region":         {s3["the region of a backblaze location is wrong"], "ConfigInvalid"},
		"an expired certificate": {s3["the certificate of an s3 endpoint has expired"], "ConfigInvalid"},
		"a full server":          {s3["the disk of an s3 server is full"], "StorageFull"},
		"a wrong key":            {ssh["the key of an ssh location is wrong"], "AuthFailed"},
		"a changed host key":     {ssh["the host key of an ssh server has changed"], "ConfigInvalid"},
		"a read-only folder":     {ssh["the folder of an ssh server is read-only"], "AuthFailed"},
		"a full NAS":             {ssh["the disk of an ssh server is full"], "StorageFull"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t, withRows(10), withStorage(place{kind: c.at.kind, config: c.at.config}))
			failed := s.backUp(t)
			require.Equal(t, domain.Failed, failed.Status)
			require.Equal(t, c.class, failed.Metadata.FailureClass, failed.ErrorMessage)
			require.Contains(t, failed.ErrorMessage, s.storageName)
			require.Contains(t, failed.ErrorMessage, c.at.says)
			require.Contains(t, failed.Metadata.Hint, c.at.hint)
			require.Equal(t, int32(1), s.attempts(t, failed, "Dump"))
		})
	}
}
