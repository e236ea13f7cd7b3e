package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

func TestRekeySealsWhatUpHasSavedUnderAnotherKey(t *testing.T) {
	dir := openDirectory(t)
	shop, err := startShop(t, postgres.Options{DataDir: filepath.Join(dir, "shop"), NoSync: true})
	require.NoError(t, err)
	data := filepath.Join(dir, "data")
	key := filepath.Join(data, "master.key")
	up := startUp(t, data)
	api := owner(t, up.url)
	datasource := shopDatasource(t, api, shop)
	requireHealthy(t, api, datasource.ID)
	up.stop(t)
	identity := identityOf(t, data)
	rekey := func(environment ...string) outcome { return run(t, environment, "rekey", "--data-dir", data) }

	t.Run("a key is made where none is given", func(t *testing.T) {
		before := read(t, key)
		done := rekey()
		require.Zero(t, done.code, done.stderr)
		require.NotContains(t, done.stdout, ": 0.", "no secret was sealed anew")
		require.NotEqual(t, before, read(t, key))
		require.Equal(t, before, read(t, key+".old"), "old copies of the catalogue need it")
		require.NoFileExists(t, key+".new")
		require.Equal(t, identity, identityOf(t, data))
	})
	t.Run("the given key is taken", func(t *testing.T) {
		given := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
		done := rekey("DATAGUARDIAN_NEW_MASTER_KEY=" + given)
		require.Zero(t, done.code, done.stderr)
		require.Equal(t, given, strings.TrimSpace(read(t, key)))
		require.Equal(t, identity, identityOf(t, data))
		for says, other := range map[string]string{"is used now": given, "32 bytes": "short"} {
			refused := rekey("DATAGUARDIAN_NEW_MASTER_KEY=" + other)
			require.Equal(t, exitFailed, refused.code)
			require.Contains(t, refused.stderr, says)
			require.NoFileExists(t, key+".new", "a refused change was begun")
		}
	})
	t.Run("one that was interrupted before the catalogue was changed is finished", func(t *testing.T) {
		begun, err := db.LoadOrCreateKeyFile(key + ".new")
		require.NoError(t, err)
		refused := run(t, nil, upArgs(data)...)
		require.Equal(t, exitFailed, refused.code)
		require.Contains(t, refused.stderr, "rekey")
		other := base64.StdEncoding.EncodeToString([]byte("fedcba9876543210fedcba9876543210"))
		refused = rekey("DATAGUARDIAN_NEW_MASTER_KEY=" + other)
		require.Equal(t, exitFailed, refused.code, "the catalogue may be sealed under the key that was begun with")
		require.Contains(t, refused.stderr, key+".new")
		done := rekey()
		require.Zero(t, done.code, done.stderr)
		now, err := db.LoadOrCreateKeyFile(key)
		require.NoError(t, err)
		require.Equal(t, begun.ID(), now.ID())
		require.NoFileExists(t, key+".new")
	})
	t.Run("and one that was interrupted after that", func(t *testing.T) {
		now := read(t, key)
		require.NoError(t, os.Rename(key, key+".new"))
		require.NoError(t, os.Rename(key+".old", key))
		done := rekey()
		require.Zero(t, done.code, done.stderr)
		require.Equal(t, now, read(t, key))
		require.NoFileExists(t, key+".new")
	})

	up = startUp(t, data)
	api = client.New(up.url)
	_, err = api.Login(t.Context(), "owner@example.com", "correct-horse-battery")
	require.NoError(t, err)
	requireHealthy(t, api, datasource.ID)
	up.stop(t)
}

// requireHealthy tests a datasource, for which its password is read.
func requireHealthy(t *testing.T, api *client.Client, id string) {
	t.Helper()
	check, err := api.TestDatasource(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, domain.HealthOK, check.Status, check.Message)
}

// identityOf reads the age identity of an installation, which is sealed in its catalogue.
func identityOf(t *testing.T, data string) string {
	t.Helper()
	kit := run(t, nil, "recovery-kit", "--data-dir", data)
	require.Zero(t, kit.code, kit.stderr)
	found := regexp.MustCompile(`AGE-SECRET-KEY-\S+`).FindString(kit.stdout)
	require.NotEmpty(t, found)
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path) //nolint:gosec // a test's own file
	require.NoError(t, err)
	return string(content)
}
