package api

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const (
	storageSecret  = "storage-secret-1"
	anotherSecret  = "storage-secret-2"
	privateKey     = "-----BEGIN OPENSSH PRIVATE KEY-----\nprivate-1\n-----END OPENSSH PRIVATE KEY-----\n"
	sshFingerprint = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

// storageSecretCases has one location for each secret that there is: its settings, and changes with
// which the stored secret would go somewhere else.
var storageSecretCases = map[string]struct {
	kind     domain.StorageLocationType
	config   object
	secret   string
	harmless object
	exposing []object
}{
	"the password of an SSH server": {
		domain.StorageSSH, object{"host": "nas.example.com", "username": "backup", "remote_path": "/srv", "host_key": sshFingerprint, "password": storageSecret},
		"password", object{"remote_path": "/srv/other"},
		[]object{{"host": "evil.example.com"}, {"port": 2222}, {"username": "other"}, {"host_key": strings.ReplaceAll(sshFingerprint, "A", "B")}, {"host_key": ""}},
	},
	"the secret key of AWS": {
		domain.StorageS3, object{"bucket": "backups", "access_key_id": "AKIA", "secret_access_key": storageSecret},
		"secret_access_key", object{"bucket": "other", "prefix": "p"},
		[]object{{"endpoint": "https://evil.example.com"}, {"region": "eu-central-1"}, {"access_key_id": "AKIB"}},
	},
	"the secret key of MinIO": {
		domain.StorageMinIO, object{"bucket": "backups", "endpoint": "minio.example.com:9000", "access_key": "a", "secret_key": storageSecret},
		"secret_key", object{"bucket": "other"},
		[]object{{"endpoint": "evil.example.com:9000"}, {"use_ssl": false}, {"access_key": "b"}},
	},
	"the application key of Backblaze": {
		domain.StorageBackblaze, object{"bucket_name": "backups", "region": "us-west-004", "application_key_id": "a", "application_key": storageSecret},
		"application_key", object{"bucket_name": "other"},
		[]object{{"region": "us-west-005"}, {"endpoint": "https://evil.example.com"}, {"application_key_id": "b"}},
	},
}

func TestSecretsOfStorageLocationsAreWriteOnly(t *testing.T) {
	f := signedIn(t)
	for name, c := range storageSecretCases {
		t.Run(name, func(t *testing.T) {
			f := *f
			f.t = t
			created := f.call("POST", "/api/storage-locations", object{"name": name, "type": c.kind, "config": c.config}).ok(201)
			id := created.get("id").(string)
			path := "/api/storage-locations/" + id
			stored := func() string {
				row, err := f.db.GetStorageLocation(context.Background(), id)
				require.NoError(t, err)
				return *row.Config.Secrets()[c.secret]
			}
			patch := func(config object) reply { return f.call("PATCH", path, object{"config": config}) }
			require.Equal(t, failure.Mask, created.get("config", c.secret))
			require.Equal(t, storageSecret, stored())

			patch(c.harmless).ok(200)
			require.Equal(t, storageSecret, stored(), "saying nothing keeps what is stored")
			patch(object{c.secret: failure.Mask}).ok(200)
			require.Equal(t, storageSecret, stored(), "so does the mask")
			patch(object{c.secret: nil}).ok(200)
			require.Equal(t, storageSecret, stored(), "and null")
			for _, change := range c.exposing {
				require.Contains(t, patch(change).wrong("config."+c.secret), "give it again", "%v", change)
				require.Equal(t, storageSecret, stored(), "%v", change)
			}
			change := object{c.secret: anotherSecret}
			for field, value := range c.exposing[0] {
				change[field] = value
			}
			require.Equal(t, failure.Mask, patch(change).ok(200).get("config", c.secret), "with the secret the change is made")
			require.Equal(t, anotherSecret, stored())

			require.NotContains(t, f.call("GET", path, nil).ok(200).text, "storage-secret-")
			require.NotContains(t, f.call("GET", "/api/storage-locations", nil).ok(200).text, "storage-secret-")
			f.call("DELETE", path, nil).ok(204)
			updates := f.audits("storage_location.update")
			require.Contains(t, updates[len(updates)-1].Changes, "config."+c.secret, "the trail says that the secret was replaced")
		})
	}
	for _, action := range []string{"create", "update", "delete"} {
		entries := f.audits("storage_location." + action)
		require.NotEmpty(t, entries)
		for _, entry := range entries {
			require.NotContains(t, entry.Changes, "storage-secret-")
		}
	}
	require.NotContains(t, f.log.String(), "storage-secret-")
}

func TestAnSSHLocationChangesFromAPasswordToAKey(t *testing.T) {
	f := signedIn(t)
	config := object{"host": "nas.example.com", "username": "backup", "remote_path": "/srv", "password": storageSecret, "host_key": "SHA256:" + strings.Repeat("A", 43)}
	id := f.call("POST", "/api/storage-locations", object{"name": "nas", "type": "ssh", "config": config}).ok(201).get("id").(string)
	patch := func(config object) reply {
		return f.call("PATCH", "/api/storage-locations/"+id, object{"config": config})
	}
	stored := func() domain.StorageConfig {
		row, err := f.db.GetStorageLocation(context.Background(), id)
		require.NoError(t, err)
		return row.Config
	}
	require.Contains(t, patch(object{"private_key": privateKey}).wrong("config.password"), "either")
	require.Contains(t, patch(object{"private_key": failure.Mask, "password": ""}).wrong("config.private_key"), "none is stored")
	answer := patch(object{"private_key": privateKey, "passphrase": "phrase", "password": ""}).ok(200)
	require.NotContains(t, answer.text, "private-1")
	require.NotContains(t, answer.text, `"phrase"`)
	require.Empty(t, stored().Password)
	require.Equal(t, privateKey, stored().PrivateKey)
	require.Equal(t, "phrase", stored().Passphrase)

	require.Contains(t, patch(object{"private_key": "", "password": "new"}).wrong("config.passphrase"), "there is none")
	patch(object{"private_key": "", "passphrase": "", "password": "new"}).ok(200)
	require.Equal(t, domain.StorageConfig{
		Host: "nas.example.com", Port: 22, Username: "backup", RemotePath: "/srv", Password: "new", HostKey: "SHA256:" + strings.Repeat("A", 43),
	}, stored())
}

func TestAPatchLeavesTheStoredRowAlone(t *testing.T) {
	on := true
	stored := StorageLocationDocument{Tags: []string{"a", "b"}, Enabled: &on, Config: domain.StorageConfig{UseSSL: &on}}
	document := stored
	var patch Patch[StorageLocationDocument]
	require.NoError(t, patch.UnmarshalJSON([]byte(`{"tags":["x"],"enabled":false,"config":{"use_ssl":false}}`)))
	require.NoError(t, patch.ApplyTo(&document))
	require.False(t, *document.Enabled)
	require.False(t, *document.Config.UseSSL)
	require.Equal(t, []string{"x"}, document.Tags)
	require.True(t, on)
	require.Equal(t, []string{"a", "b"}, stored.Tags)
}

func TestEverySecretOfAStorageLocationIsMasked(t *testing.T) {
	var c domain.StorageConfig
	for _, field := range c.Secrets() {
		*field = storageSecret
	}
	for name, field := range (func() map[string]*string { m := maskedStorage(c); return m.Secrets() })() {
		require.Equal(t, failure.Mask, *field, name)
	}
	for name, field := range c.Secrets() {
		require.Equal(t, storageSecret, *field, "the original's %s stays", name)
	}
}
