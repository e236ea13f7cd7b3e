package domain_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestAConnectionOverANetworkIsProtectedUnlessToldOtherwise(t *testing.T) {
	for host, want := range map[string]domain.SSLMode{
		"db.example.com":      domain.SSLRequire,
		"10.1.2.3":            domain.SSLRequire,
		"2001:db8::1":         domain.SSLRequire,
		"localhost.evil.test": domain.SSLRequire,
		"127.evil.test":       domain.SSLRequire,
		" localhost ":         domain.SSLDisable,
		"LOCALHOST":           domain.SSLDisable,
		"127.0.0.1":           domain.SSLDisable,
		"127.8.9.10":          domain.SSLDisable,
		"::1":                 domain.SSLDisable,
		"::ffff:127.0.0.1":    domain.SSLDisable,
		"/var/run/postgresql": domain.SSLDisable,
	} {
		t.Run(host, func(t *testing.T) {
			c := domain.ConnectionConfig{Host: host}
			c.Normalize(domain.Postgres)
			require.Equal(t, want, c.SSLMode)
		})
	}
	c := domain.ConnectionConfig{Host: "db.example.com", SSLMode: domain.SSLDisable}
	c.Normalize(domain.Postgres)
	require.Equal(t, domain.SSLDisable, c.SSLMode, "what was chosen stays")
}

func TestModesAreOrderedByWhatTheyProtect(t *testing.T) {
	modes := []domain.SSLMode{domain.SSLDisable, domain.SSLRequire, domain.SSLVerifyCA, domain.SSLVerifyFull}
	for i, a := range modes {
		for j, b := range modes {
			require.Equal(t, i < j, a.WeakerThan(b), "%s than %s", a, b)
		}
	}
	require.True(t, domain.SSLMode("").WeakerThan(domain.SSLRequire))
	require.False(t, domain.SSLMode("").WeakerThan(domain.SSLDisable))
}

// fieldsOf are the names of the fields that are wrong.
func fieldsOf(found domain.Invalid) []string {
	fields := []string{}
	for _, problem := range found {
		fields = append(fields, problem.Field)
	}
	return fields
}

func TestAConnectionOfEachTypeIsChecked(t *testing.T) {
	tunnel := func() *domain.SSHTunnel {
		return &domain.SSHTunnel{Host: "bastion", Username: "me", Password: "p", HostKey: "SHA256:" + strings.Repeat("a", 43)}
	}
	for name, test := range map[string]struct {
		kind   domain.DatasourceType
		config domain.ConnectionConfig
		wrong  []string
	}{
		"postgres":                       {domain.Postgres, domain.ConnectionConfig{Host: "h", Database: "d", Username: "u"}, nil},
		"mysql without a user":           {domain.MySQL, domain.ConnectionConfig{Host: "h", Database: "d"}, []string{"username"}},
		"mongodb without a user":         {domain.MongoDB, domain.ConnectionConfig{Host: "h", Database: "d"}, nil},
		"mongodb by uri":                 {domain.MongoDB, domain.ConnectionConfig{URI: "mongodb://u:p@h/?tls=true", Database: "d"}, nil},
		"mongodb by uri and host":        {domain.MongoDB, domain.ConnectionConfig{URI: "mongodb://h", Host: "h", Database: "d"}, []string{"host"}},
		"a uri of something else":        {domain.MongoDB, domain.ConnectionConfig{URI: "http://h", Database: "d"}, []string{"uri"}},
		"a uri for postgres":             {domain.Postgres, domain.ConnectionConfig{URI: "postgres://h", Database: "d"}, []string{"uri", "host", "username"}},
		"sqlserver":                      {domain.SQLServer, domain.ConnectionConfig{Host: "h", Database: "d", Username: "u", BackupDirectory: `C:\b`, WorkerDirectory: "/b"}, nil},
		"sqlserver without directories":  {domain.SQLServer, domain.ConnectionConfig{Host: "h", Database: "d", Username: "u"}, []string{"backup_directory", "worker_directory"}},
		"sqlite":                         {domain.SQLite, domain.ConnectionConfig{FilePath: "/a.db"}, nil},
		"sqlite with a relative path":    {domain.SQLite, domain.ConnectionConfig{FilePath: "a.db"}, []string{"file_path"}},
		"sqlite with a host":             {domain.SQLite, domain.ConnectionConfig{FilePath: "/a.db", Host: "h"}, []string{"host"}},
		"files":                          {domain.Files, domain.ConnectionConfig{SourcePath: "/srv", ExcludePatterns: []string{"*.tmp"}}, nil},
		"files with an empty pattern":    {domain.Files, domain.ConnectionConfig{SourcePath: "/srv", ExcludePatterns: []string{" "}}, []string{"exclude_patterns"}},
		"every database":                 {domain.Postgres, domain.ConnectionConfig{Host: "h", Databases: &domain.DatabaseSelection{All: true, Exclude: []string{"test_*"}}, Username: "u"}, nil},
		"one database and every one":     {domain.Postgres, domain.ConnectionConfig{Host: "h", Database: "d", Databases: &domain.DatabaseSelection{All: true}, Username: "u"}, []string{"databases"}},
		"a selection of none":            {domain.Postgres, domain.ConnectionConfig{Host: "h", Databases: &domain.DatabaseSelection{}, Username: "u"}, []string{"databases.all"}},
		"a pattern that is none":         {domain.Postgres, domain.ConnectionConfig{Host: "h", Databases: &domain.DatabaseSelection{All: true, Exclude: []string{"[a"}}, Username: "u"}, []string{"databases.exclude"}},
		"neither one nor every database": {domain.Postgres, domain.ConnectionConfig{Host: "h", Username: "u"}, []string{"database"}},
		"a tunnel":                       {domain.Postgres, domain.ConnectionConfig{Host: "h", Database: "d", Username: "u", SSHTunnel: tunnel()}, nil},
		"a tunnel to a socket":           {domain.Postgres, domain.ConnectionConfig{Host: "/run", Database: "d", Username: "u", SSHTunnel: tunnel()}, []string{"ssh_tunnel"}},
		"a tunnel with nothing":          {domain.Postgres, domain.ConnectionConfig{Host: "h", Database: "d", Username: "u", SSHTunnel: &domain.SSHTunnel{}}, []string{"ssh_tunnel.host_key", "ssh_tunnel.host", "ssh_tunnel.username", "ssh_tunnel.password"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Normalize(test.kind)
			require.ElementsMatch(t, test.wrong, fieldsOf(test.config.Validate(test.kind)))
		})
	}
}

func TestAMaskedCopyOfAConnectionLeavesTheConnectionAsItIs(t *testing.T) {
	c := domain.ConnectionConfig{Password: "one", URI: "mongodb://u:tw%40o@h/", SSHTunnel: &domain.SSHTunnel{Password: "three"}}
	clone := c.Clone()
	for _, field := range clone.Secrets() {
		*field = "****"
	}
	require.Equal(t, []string{"mongodb://u:tw%40o@h/", "one", "three", "tw%40o", "tw@o"}, c.SecretValues())
}

func TestASelectionLeavesOutWhatItsPatternsMatch(t *testing.T) {
	selection := domain.DatabaseSelection{All: true, Exclude: []string{"test_*", "scratch"}}
	require.True(t, selection.Selects("orders"))
	require.True(t, selection.Selects("latest_news"))
	require.False(t, selection.Selects("test_orders"))
	require.False(t, selection.Selects("scratch"))
}
