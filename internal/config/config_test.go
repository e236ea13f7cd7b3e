package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
)

const secretText = "hunter2-hunter2"

func TestDefaultsWorkWithoutAnySetting(t *testing.T) {
	c, err := load([]string{"HOME=/home/someone"}, nil)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", c.Listen)
	require.Equal(t, []string{"default"}, c.Worker.Pools)
	require.Equal(t, 30*24*time.Hour, c.Temporal.Retention)
	require.NotEmpty(t, c.DataDir)
	require.False(t, c.Chosen("DATAGUARDIAN_LISTEN"))
}

func TestAFlagWinsOverItsVariable(t *testing.T) {
	flags := flagSet(t, "--listen=0.0.0.0:9000", "--pools=default, site-b")
	c, err := load([]string{"DATAGUARDIAN_LISTEN=127.0.0.1:1234", "DATAGUARDIAN_SLOTS=7"}, flags)
	require.NoError(t, err)
	require.Equal(t, "0.0.0.0:9000", c.Listen)
	require.Equal(t, []string{"default", "site-b"}, c.Worker.Pools)
	require.Equal(t, 7, c.Worker.Slots)
	require.True(t, c.Chosen("DATAGUARDIAN_LISTEN"))
}

func TestAnEmptyVariableIsOneThatIsNotSet(t *testing.T) {
	c, err := load([]string{"HOME=/root", "DATAGUARDIAN_LISTEN=", "TEMPORAL_ADDRESS="}, nil, Need{})
	require.Error(t, err) // Need{} names nothing, so nothing can fulfil it
	require.Nil(t, c)
	c, err = load([]string{"HOME=/root", "DATAGUARDIAN_LISTEN="}, nil)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", c.Listen)
}

func TestErrorsNameTheVariableAndWhatToDo(t *testing.T) {
	tests := map[string]struct {
		environ []string
		flags   []string
		needs   []Need
		want    string
	}{
		"a number that is none names its variable": {
			environ: []string{"DATAGUARDIAN_SLOTS=many"}, want: "DATAGUARDIAN_SLOTS is not a valid number"},
		"a number given by flag names the flag": {
			flags: []string{"--slots=many"}, want: "--slots is not a valid number"},
		"a duration without a unit": {
			environ: []string{"TEMPORAL_RETENTION=30"}, want: "TEMPORAL_RETENTION is not a valid duration"},
		"an unknown log level": {
			environ: []string{"DATAGUARDIAN_LOG_LEVEL=loud"}, want: "DATAGUARDIAN_LOG_LEVEL is not a valid log level"},
		"an address without a port": {
			flags: []string{"--listen=localhost"}, want: `--listen is "localhost"; give host:port`},
		"a port out of range": {
			environ: []string{"DATAGUARDIAN_TEMPORAL_UI_PORT=70000"}, want: "DATAGUARDIAN_TEMPORAL_UI_PORT is 70000"},
		"a pool with capitals": {
			flags: []string{"--pools=Site B"}, want: `--pools names the pool "Site B"`},
		"half a client certificate": {
			environ: []string{"TEMPORAL_TLS_CERT=/c.pem"}, want: "TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY belong together"},
		"a master key twice": {
			environ: []string{"DATAGUARDIAN_MASTER_KEY=" + secretText, "DATAGUARDIAN_MASTER_KEY_FILE=/k"}, want: "are both set"},
		"a database that is needed": {
			needs: []Need{NeedDatabase}, want: "DATABASE_URL is not set; set it to"},
		"a master key that is needed": {
			needs: []Need{NeedMasterKey}, want: "DATAGUARDIAN_MASTER_KEY or DATAGUARDIAN_MASTER_KEY_FILE is not set"},
		"an issuer in the clear": {
			environ: []string{"DATAGUARDIAN_OIDC_ISSUER=http://idp.example.com"}, want: "DATAGUARDIAN_OIDC_ISSUER is"},
		"a provider without a client": {
			environ: []string{"DATAGUARDIAN_OIDC_ISSUER=https://idp.example.com"}, want: "DATAGUARDIAN_OIDC_CLIENT_ID is not set"},
		"a client without a provider": {
			flags: []string{"--oidc-client-id=x"}, want: "DATAGUARDIAN_OIDC_ISSUER is not set"},
		"a redirect to somewhere else": {
			flags: []string{"--oidc-issuer=https://idp.example.com", "--oidc-redirect-url=https://backup.example.com/"}, want: "--oidc-redirect-url is"},
		"a role without a value": {
			flags: []string{"--oidc-issuer=https://idp.example.com", "--oidc-roles=admin"}, want: `--oidc-roles has "admin"`},
		"a data port without a port": {
			flags: []string{"--data-listen=worker"}, want: `--data-listen is "worker"; give host:port, or off`},
		"a data URL that is not https": {
			environ: []string{"DATAGUARDIAN_DATA_URL=http://worker:8444"}, want: `DATAGUARDIAN_DATA_URL is "http://worker:8444"; give https`},
		"a data URL with a path": {
			environ: []string{"DATAGUARDIAN_DATA_URL=https://worker:8444/x"}, want: "without a path"},
		"a proxy that is a name": {
			environ: []string{"DATAGUARDIAN_TRUSTED_PROXIES=10.0.0.0/8,gateway"}, want: `names "gateway"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(append(test.environ, "HOME=/root"), flagSet(t, test.flags...), test.needs...)
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), secretText)
			require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err))
		})
	}
}

func TestTheDataPortIsOnUnlessItIsOff(t *testing.T) {
	for given, want := range map[string]string{"": "127.0.0.1:0", "off": "", "0": "", "0.0.0.0:8444": "0.0.0.0:8444"} {
		c, err := load([]string{"HOME=/root", "DATAGUARDIAN_DATA_LISTEN=" + given, "DATAGUARDIAN_DATA_URL=https://worker:8444/"}, nil)
		require.NoError(t, err)
		require.Equal(t, want, c.Worker.DataListen)
		require.Equal(t, "https://worker:8444", c.Worker.DataURL)
	}
}

func TestSecretsAreMaskedInEveryPrint(t *testing.T) {
	c, err := load([]string{"HOME=/root", "DATABASE_URL=postgres://u:" + secretText + "@h/d",
		"TEMPORAL_API_KEY=" + secretText, "DATAGUARDIAN_MASTER_KEY=" + secretText}, nil)
	require.NoError(t, err)
	require.Contains(t, c.Database.URL.Reveal(), secretText)
	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "url", c.Database.URL, "config", c)
	for _, text := range []string{
		fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s %q", *c, *c, *c, c.MasterKey, c.Temporal.APIKey), string(encoded), logged.String(),
	} {
		require.NotContains(t, text, secretText)
	}
}

func TestNoFlagCarriesASecret(t *testing.T) {
	secrets := map[string]bool{}
	for field := range fields(reflect.TypeFor[Config]()) {
		if field.Type == reflect.TypeFor[Secret]() {
			secrets[field.Tag.Get("env")] = true
		}
	}
	require.NotEmpty(t, secrets)
	for _, group := range allFlags() {
		for _, flag := range group {
			require.False(t, secrets[flag.Variable], flag.Name)
		}
	}
}

func TestFieldNamesOfParsedValuesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for field := range fields(reflect.TypeFor[Config]()) {
		if field.Type.Kind() == reflect.String || field.Type.Kind() == reflect.Slice {
			continue // these never fail to parse
		}
		require.False(t, seen[field.Name], "two fields are named %s: an error could name the wrong variable", field.Name)
		seen[field.Name] = true
	}
}

func TestDataDirectoryIsTheUsersOwn(t *testing.T) {
	dir, err := defaultDataDir(map[string]string{"XDG_STATE_HOME": "/state", "HOME": "/home/x"})
	require.NoError(t, err)
	require.Contains(t, []string{"/state/dataguardian", "/var/lib/dataguardian"}, dir)
}

func allFlags() [][]Flag {
	return [][]Flag{LogFlags, APIFlags, OIDCFlags, DatabaseFlags, TemporalFlags, WorkerFlags, DataDirFlags, EmbeddedTemporalFlags, MasterKeyFlags, DemoFlags}
}

func flagSet(t *testing.T, arguments ...string) *pflag.FlagSet {
	t.Helper()
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(set, allFlags()...)
	require.NoError(t, set.Parse(arguments))
	return set
}

func TestARoleIsWhatFollowsTheLastEqualsSign(t *testing.T) {
	c, err := load([]string{"HOME=/root", "DATAGUARDIAN_OIDC_ISSUER=https://idp", "DATAGUARDIAN_OIDC_CLIENT_ID=x", "DATAGUARDIAN_OIDC_REDIRECT_URL=https://b/api/auth/oidc/callback",
		"DATAGUARDIAN_OIDC_ROLES=cn=admins,ou=groups=admin; ops = operator;ops=readonly"}, nil)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"cn=admins,ou=groups": {"admin"}, "ops": {"operator", "readonly"}}, c.OIDC.Roles())
}

func TestTheClientTakesNothingOfAServersSettings(t *testing.T) {
	c, err := loadClient([]string{"HOME=/home/x", "DATAGUARDIAN_LISTEN=nonsense", "DATAGUARDIAN_TOKEN=dgs_1"}, nil)
	require.NoError(t, err)
	require.Equal(t, Client{Token: "dgs_1", CredentialsFile: "/home/x/.config/dataguardian/credentials.json"}, c)
	c, err = loadClient([]string{"XDG_CONFIG_HOME=/config", "DATAGUARDIAN_URL=https://b"}, nil)
	require.NoError(t, err)
	require.Equal(t, Client{URL: "https://b", CredentialsFile: "/config/dataguardian/credentials.json"}, c)
}
