package db_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// everything is the text of every row of every table.
func everything(t *testing.T, url string) string {
	t.Helper()
	var text strings.Builder
	for _, table := range rows(t, url, listTables) {
		for _, row := range rows(t, url, fmt.Sprintf("SELECT t::text FROM %q t", table)) {
			text.WriteString(table + " " + row + "\n")
		}
	}
	return text.String()
}

func otherKey(t *testing.T) db.MasterKey {
	t.Helper()
	key, err := db.GenerateMasterKey()
	require.NoError(t, err)
	return key
}

func TestSecretsAreSealedInTheDatabase(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	datasource := newDatasource(t, d, "orders")
	execution := newRunning(t, d, "job")
	secret, err := d.ChunkSecret(t.Context(), *execution.DatasourceID, execution.Generation)
	require.NoError(t, err)
	identity, recipient, err := d.AgeIdentity(t.Context())
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(identity, "AGE-SECRET-KEY-1"))

	stored := everything(t, url)
	require.NotContains(t, stored, password)
	require.NotContains(t, stored, identity)
	require.NotContains(t, stored, base64.StdEncoding.EncodeToString(secret[:]))
	for _, readable := range []string{"db.example", "orders", recipient, "dgs1:" + dbtest.Key().ID() + ":"} {
		require.Contains(t, stored, readable)
	}

	read, err := d.GetDatasource(t.Context(), datasource.ID)
	require.NoError(t, err)
	require.Equal(t, password, read.Config.Password)
	list, _, err := d.ListDatasources(t.Context(), db.Page{})
	require.NoError(t, err)
	require.Equal(t, password, list[0].Config.Password)
}

// secretStorage makes a storage location every secret of which is set.
func secretStorage(t *testing.T, d *db.DB) (location db.StorageLocation, secrets map[string]string) {
	t.Helper()
	config, secrets := domain.StorageConfig{Host: "nas.example"}, map[string]string{}
	for name, field := range config.Secrets() {
		*field = "secret-of-" + name
		secrets[name] = *field
	}
	require.Len(t, secrets, 6)
	location, err := d.CreateStorageLocation(t.Context(), db.StorageLocation{Name: "secretive", Type: domain.StorageSSH, Enabled: true, Config: config})
	require.NoError(t, err)
	return location, secrets
}

func requireSecrets(t *testing.T, want map[string]string, config domain.StorageConfig) {
	t.Helper()
	for name, field := range config.Secrets() {
		require.Equal(t, want[name], *field, name)
	}
}

func TestSecretsOfStorageLocationsAreSealedInTheDatabase(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	created, secrets := secretStorage(t, d)
	requireSecrets(t, secrets, created.Config)
	sealed := func() map[string]string {
		var config map[string]string
		require.NoError(t, json.Unmarshal([]byte(strings.Join(rows(t, url, "SELECT config::text FROM storage_locations"), "")), &config))
		require.Equal(t, "nas.example", config["host"], "what is no secret is readable")
		for name := range secrets {
			require.True(t, strings.HasPrefix(config[name], "dgs1:"+dbtest.Key().ID()+":"), "%s is stored as %q", name, config[name])
		}
		require.NotContains(t, everything(t, url), "secret-of-")
		return config
	}
	first := sealed()
	updated, err := d.UpdateStorageLocation(t.Context(), created)
	require.NoError(t, err)
	requireSecrets(t, secrets, updated.Config)
	for name := range secrets {
		require.NotEqual(t, first[name], sealed()[name], "%s is sealed afresh by every write", name)
	}
	list, _, err := d.ListStorageLocations(t.Context(), db.Page{})
	require.NoError(t, err)
	requireSecrets(t, secrets, list[0].Config)

	// A sealed value opens only in its own field.
	dbtest.Execute(t, url, `UPDATE storage_locations SET config = jsonb_set(config, '{password}', config -> 'secret_key')`)
	_, err = d.GetStorageLocation(t.Context(), created.ID)
	require.Equal(t, failure.Corrupt, failure.ClassOf(err), "%v", err)
}

// secretJob sets every secret of a job.
func secretJob(t *testing.T, d *db.DB, id string) db.BackupJob {
	t.Helper()
	job, err := d.GetBackupJob(t.Context(), id)
	require.NoError(t, err)
	job.BackupOptions.ReferencedFiles = &domain.ReferencedFiles{Enabled: true, Host: "files.example"}
	job.BackupOptions.Hooks = &domain.Hooks{Before: []domain.Hook{{SQL: "SELECT 1"}, {URL: "set below"}}}
	for range domain.MaxHooks {
		job.BackupOptions.Hooks.AfterFailure = append(job.BackupOptions.Hooks.AfterFailure, domain.Hook{URL: "set below"})
	}
	for name, field := range job.BackupOptions.Secrets() {
		*field = "secret-of-" + name
	}
	updated, err := d.UpdateBackupJob(t.Context(), job)
	require.NoError(t, err)
	require.Equal(t, job.BackupOptions, updated.BackupOptions)
	return updated
}

func TestSecretsOfJobsAreSealedAndAreNotInTheirExecutions(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	job := secretJob(t, d, *newRunning(t, d, "job").JobID)
	require.Len(t, job.BackupOptions.Secrets(), 4+1+domain.MaxHooks)
	list, _, err := d.ListBackupJobs(t.Context(), db.Page{})
	require.NoError(t, err)
	require.Equal(t, job.BackupOptions, list[0].BackupOptions)
	execution, err := d.CreateExecution(t.Context(), db.Execution{
		DatasourceID: &job.DatasourceID, StorageLocationID: &job.StorageLocationID,
		Metadata: domain.ExecutionMetadata{Operation: domain.OperationBackup, Options: &job.BackupOptions},
	})
	require.NoError(t, err)
	require.Equal(t, "files.example", execution.Metadata.Options.ReferencedFiles.Host)
	require.Equal(t, []domain.Hook{{SQL: "SELECT 1"}, {URL: failure.Mask}}, execution.Metadata.Options.Hooks.Before, "that there is an address is kept")
	require.NotContains(t, everything(t, url), "secret-of-")
	require.Equal(t, "secret-of-hooks.before[1].url", job.BackupOptions.Hooks.Before[1].URL)
	require.Equal(t, "secret-of-referenced_files.password", job.BackupOptions.ReferencedFiles.Password, "what is stored elsewhere is a copy")
}

func TestAnEmptyPasswordIsNotSealed(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	datasource := newDatasource(t, d, "orders")
	datasource.Config.Password = ""
	updated, err := d.UpdateDatasource(t.Context(), datasource)
	require.NoError(t, err)
	require.Empty(t, updated.Config.Password)
	require.NotContains(t, strings.Join(rows(t, url, "SELECT connection_config::text FROM datasources"), ""), "dgs1:")
}

func TestASealedValueDoesNotOpenInAnotherRow(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	one, two := newDatasource(t, d, "one"), newDatasource(t, d, "two")
	dbtest.Execute(t, url, `UPDATE datasources SET connection_config = (SELECT connection_config FROM datasources WHERE id = $1) WHERE id = $2`, one.ID, two.ID)
	_, err := d.GetDatasource(t.Context(), two.ID)
	require.Equal(t, failure.Corrupt, failure.ClassOf(err), "%v", err)
	require.ErrorContains(t, err, "moved here from another row")
}

func TestAWrongMasterKeyIsRefusedAtStart(t *testing.T) {
	url := dbtest.URL(t)
	dbtest.Open(t, url)
	wrong := otherKey(t)
	_, err := db.Open(t.Context(), db.Config{URL: url, MasterKey: wrong})
	require.ErrorIs(t, err, db.ErrWrongMasterKey)
	require.Contains(t, err.Error(), wrong.ID())
	require.Contains(t, err.Error(), dbtest.Key().ID())
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err))

	_, err = db.Open(t.Context(), db.Config{URL: url})
	require.Contains(t, failure.HintOf(err), "openssl rand")
}

func TestProcessesThatOpenTogetherShareOneIdentity(t *testing.T) {
	url := dbtest.URL(t)
	identities := make([]string, 8)
	for _, err := range together(len(identities), func(i int) error {
		d, err := db.Open(t.Context(), db.Config{URL: url, MasterKey: dbtest.Key(), MaxConns: 2})
		if err != nil {
			return err
		}
		defer d.Close()
		identities[i], _, err = d.AgeIdentity(t.Context())
		return err
	}) {
		require.NoError(t, err)
	}
	for _, identity := range identities {
		require.Equal(t, identities[0], identity)
	}
}

func TestRekeySealsEverySecretAgain(t *testing.T) {
	url := dbtest.URL(t)
	old := dbtest.Open(t, url)
	datasource := newDatasource(t, old, "orders")
	execution := newRunning(t, old, "job")
	location, storageSecrets := secretStorage(t, old)
	job := secretJob(t, old, *execution.JobID)
	secret, err := old.ChunkSecret(t.Context(), *execution.DatasourceID, execution.Generation)
	require.NoError(t, err)
	identity, _, err := old.AgeIdentity(t.Context())
	require.NoError(t, err)
	added, err := old.ImportIdentity(t.Context(), db.OldIdentity{Public: "age1old", Secret: "AGE-SECRET-KEY-OLD", Name: "before"})
	require.NoError(t, err)
	require.True(t, added)
	key := otherKey(t)

	_, err = db.Rekey(t.Context(), url, key, dbtest.Key())
	require.ErrorIs(t, err, db.ErrWrongMasterKey, "the old key must be the one in use")
	_, err = db.Rekey(t.Context(), url, key, key)
	require.ErrorContains(t, err, "the new key is the old one")

	n, err := db.Rekey(t.Context(), url, dbtest.Key(), key)
	require.NoError(t, err)
	require.Equal(t, 15+17, n, "two passwords, the age identity, an imported one, a chunk secret, six of a storage location, four of a job and its hooks'")
	require.NotContains(t, everything(t, url), "dgs1:"+dbtest.Key().ID(), "a sealed value that rekey does not know")

	d, err := db.Open(t.Context(), db.Config{URL: url, MasterKey: key})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	read, err := d.GetDatasource(t.Context(), datasource.ID)
	require.NoError(t, err)
	require.Equal(t, password, read.Config.Password)
	readLocation, err := d.GetStorageLocation(t.Context(), location.ID)
	require.NoError(t, err)
	requireSecrets(t, storageSecrets, readLocation.Config)
	readJob, err := d.GetBackupJob(t.Context(), job.ID)
	require.NoError(t, err)
	require.Equal(t, job.BackupOptions, readJob.BackupOptions)
	secretAfter, err := d.ChunkSecret(t.Context(), *execution.DatasourceID, execution.Generation)
	require.NoError(t, err)
	require.Equal(t, secret, secretAfter)
	identityAfter, _, err := d.AgeIdentity(t.Context())
	require.NoError(t, err)
	require.Equal(t, identity, identityAfter)
	imported, err := d.ListOldIdentities(t.Context())
	require.NoError(t, err)
	require.Len(t, imported, 1)
	require.Equal(t, "AGE-SECRET-KEY-OLD", imported[0].Secret)

	_, err = old.UpdateDatasource(t.Context(), datasource)
	require.ErrorIs(t, err, db.ErrWrongMasterKey, "a process with the old key writes no secret")
	_, err = old.GetDatasource(t.Context(), datasource.ID)
	require.ErrorIs(t, err, db.ErrWrongMasterKey)
}

func TestARekeyThatFailsChangesNothing(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	newDatasource(t, d, "one")
	newDatasource(t, d, "two")
	dbtest.Execute(t, url, `UPDATE datasources SET connection_config = jsonb_set(connection_config, '{password}', '"damaged"') WHERE name = 'two'`)
	before := everything(t, url)
	_, err := db.Rekey(t.Context(), url, dbtest.Key(), otherKey(t))
	require.Equal(t, failure.Corrupt, failure.ClassOf(err), "%v", err)
	require.Equal(t, before, everything(t, url))
}

func TestMasterKeysAreReadInEveryUsualForm(t *testing.T) {
	raw := []byte("\xff\xfe0123456789abcdefghijklmnopqrst")
	for name, text := range map[string]string{
		"hex":                   fmt.Sprintf("%x", raw),
		"base64":                base64.StdEncoding.EncodeToString(raw),
		"base64 without pad":    base64.RawStdEncoding.EncodeToString(raw),
		"base64url":             base64.URLEncoding.EncodeToString(raw),
		"with a line end after": base64.StdEncoding.EncodeToString(raw) + "\n",
	} {
		key, err := db.ParseMasterKey(text)
		require.NoError(t, err, name)
		require.Equal(t, "20214df9", key.ID(), name)
	}
	for _, text := range []string{"", "short", strings.Repeat("a", 63), base64.StdEncoding.EncodeToString(raw[:31])} {
		_, err := db.ParseMasterKey(text)
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err))
		require.Contains(t, failure.HintOf(err), "openssl rand -base64 32")
	}
}

func TestAMasterKeyNeverPrintsItself(t *testing.T) {
	key := dbtest.Key()
	config := db.Config{MasterKey: key}
	encoded, err := json.Marshal(config)
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("start", "key", key)
	for _, text := range []string{
		fmt.Sprint(key), fmt.Sprintf("%+v", key), fmt.Sprintf("%#v", key), fmt.Sprintf("%x", key), fmt.Sprintf("%d", &key),
		fmt.Sprintf("%v", config), string(encoded), log.String(),
	} {
		require.Contains(t, text, failure.Mask)
	}
}

func TestAKeyFileIsMadeOnceAndKeptPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	keys := make([]db.MasterKey, 8)
	for _, err := range together(len(keys), func(i int) (err error) {
		keys[i], err = db.LoadOrCreateKeyFile(path)
		return err
	}) {
		require.NoError(t, err)
	}
	for _, key := range keys {
		require.Equal(t, keys[0].ID(), key.ID())
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	require.NoError(t, os.Chmod(path, 0o640))
	_, err = db.LoadOrCreateKeyFile(path)
	require.ErrorContains(t, err, "others may read it")
	require.Contains(t, failure.HintOf(err), "chmod 600")
}

// An earlier version did not take the addresses of heartbeats, of hooks and of JSON webhooks for secrets.
func TestAddressesThatAnEarlierVersionLeftInTheClearAreSealed(t *testing.T) {
	const heartbeat, hook = "https://hc.example/ping/secret-of-heartbeat", "https://hooks.example/secret-of-hook"
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	job := *newRunning(t, d, "job").JobID
	channel, err := d.CreateChannel(t.Context(), db.Channel{Name: "ops", Type: domain.ChannelWebhook, Enabled: true, Config: domain.ChannelConfig{Format: domain.WebhookJSON}})
	require.NoError(t, err)
	leave := func() {
		dbtest.Execute(t, url, `UPDATE backup_jobs SET backup_options = jsonb_set(backup_options, '{hooks}', '{"before": [{"sql": "SELECT 1"}, {"url": "https://h.example/secret-of-url"}]}')`)
		dbtest.Execute(t, url, "UPDATE backup_jobs SET backup_options = jsonb_set(backup_options, '{heartbeat_url}', to_jsonb($1::text))", heartbeat)
		dbtest.Execute(t, url, "UPDATE notification_channels SET secrets = '', config = jsonb_set(config, '{url}', to_jsonb($1::text))", hook)
	}
	check := func(d *db.DB) {
		t.Helper()
		read, err := d.GetBackupJob(t.Context(), job)
		require.NoError(t, err)
		require.Equal(t, heartbeat, read.BackupOptions.HeartbeatURL)
		require.Equal(t, "https://h.example/secret-of-url", read.BackupOptions.Hooks.Before[1].URL)
		found, err := d.GetChannel(t.Context(), channel.ID)
		require.NoError(t, err)
		require.Equal(t, hook, found.Config.URL)
		require.NotContains(t, everything(t, url), "secret-of-")
	}
	leave()
	read, err := d.GetBackupJob(t.Context(), job)
	require.NoError(t, err, "a process that runs meanwhile reads it")
	require.Equal(t, heartbeat, read.BackupOptions.HeartbeatURL)
	check(dbtest.Open(t, url))

	leave()
	key := otherKey(t)
	_, err = db.Rekey(t.Context(), url, dbtest.Key(), key)
	require.NoError(t, err)
	after, err := db.Open(t.Context(), db.Config{URL: url, MasterKey: key})
	require.NoError(t, err)
	t.Cleanup(after.Close)
	check(after)
}
