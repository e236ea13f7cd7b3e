package mongodb

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongotool"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestAURIGetsTheFieldsBesideItUnlessItSaysThemItself(t *testing.T) {
	for name, test := range map[string]struct{ uri, authSource, replicaSet, want string }{
		"nothing beside it":                       {"mongodb://u:p@h:27017", "", "", "mongodb://u:p@h:27017/"},
		"both fields":                             {"mongodb://u:p@h:27017/", "users", "rs0", "mongodb://u:p@h:27017/?authSource=users&replicaSet=rs0"},
		"its database is where the user is":       {"mongodb://u:p@h/shop", "", "", "mongodb://u:p@h/?authSource=shop"},
		"auth_source is before its database":      {"mongodb://u:p@h/shop", "users", "", "mongodb://u:p@h/?authSource=users"},
		"its own options are before the fields":   {"mongodb://u:p@h/shop?authSource=own&replicaSet=mine", "users", "rs0", "mongodb://u:p@h/?authSource=own&replicaSet=mine"},
		"nobody logs in":                          {"mongodb://h/shop", "users", "rs0", "mongodb://h/?replicaSet=rs0"},
		"a certificate logs in":                   {"mongodb://h/?authMechanism=MONGODB-X509&tls=true", "admin", "", "mongodb://h/?authMechanism=MONGODB-X509&tls=true"},
		"several members":                         {"mongodb://u:p@a:1,b:2/shop?w=majority", "users", "rs0", "mongodb://u:p@a:1,b:2/?authSource=users&replicaSet=rs0&w=majority"},
		"members from DNS":                        {"mongodb+srv://u:p@cluster.example/shop", "", "rs0", "mongodb+srv://u:p@cluster.example/?authSource=shop&replicaSet=rs0"},
		"a password with characters of a URI":     {"mongodb://u:p%40ss%3A%2F%25@h/", "users", "", "mongodb://u:p%40ss%3A%2F%25@h/?authSource=users"},
		"a database with characters of a URI":     {"mongodb://u:p@h/a%26b", "", "", "mongodb://u:p@h/?authSource=a%26b"},
		"more than one of an option stays so":     {"mongodb://h/?readPreferenceTags=dc:a&readPreferenceTags=", "", "", "mongodb://h/?readPreferenceTags=dc%3Aa&readPreferenceTags="},
		"an auth_source with characters of a URI": {"mongodb://u:p@h", "a&b=c", "", "mongodb://u:p@h/?authSource=a%26b%3Dc"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := plainURI(domain.ConnectionConfig{URI: test.uri, AuthSource: test.authSource, ReplicaSet: test.replicaSet})
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
	_, err := plainURI(domain.ConnectionConfig{URI: "mongodb://u:secret%zz@h"})
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err))
	require.NotContains(t, failure.Message(err), "secret")
}

// What the child is told decides how it looks for the members of a replica set, who logs in where, and whether it checks whom it speaks to.
func TestTheChildIsToldWhatTheDatasourceSays(t *testing.T) {
	const ca = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
	fields := domain.ConnectionConfig{Host: "db.example", Port: 27018, Username: "u", Password: "p@ss", ReplicaSet: "rs0", SSLMode: domain.SSLDisable}
	with := func(change func(*domain.ConnectionConfig)) domain.ConnectionConfig {
		config := fields
		change(&config)
		return config
	}
	user := mongotool.Config{Username: "u", Password: "p@ss", AuthSource: "admin"}
	told := func(change func(*mongotool.Config)) mongotool.Config {
		config := user
		change(&config)
		return config
	}
	const plain, secure = "mongodb://db.example:27018/?replicaSet=rs0", "mongodb://db.example:27018/?replicaSet=rs0&tls=true"
	for name, test := range map[string]struct {
		config domain.ConnectionConfig
		via    string
		want   mongotool.Config
	}{
		"a replica set": {fields, "", told(func(c *mongotool.Config) { c.URI = plain })},
		"a user of another database": {
			with(func(c *domain.ConnectionConfig) { c.AuthSource = "users" }), "",
			told(func(c *mongotool.Config) { c.URI, c.AuthSource = plain, "users" }),
		},
		"nobody logs in": {
			with(func(c *domain.ConnectionConfig) { c.Username, c.Password, c.AuthSource = "", "", "users" }), "", mongotool.Config{URI: plain},
		},
		"a name with characters of a URI": {
			with(func(c *domain.ConnectionConfig) { c.ReplicaSet = "r&s=0" }), "",
			told(func(c *mongotool.Config) { c.URI = "mongodb://db.example:27018/?replicaSet=r%26s%3D0" }),
		},
		"an IPv6 address": {
			with(func(c *domain.ConnectionConfig) { c.Host = "2001:db8::1" }), "",
			told(func(c *mongotool.Config) { c.URI = "mongodb://[2001:db8::1]:27018/?replicaSet=rs0" }),
		},
		"require checks nothing": {
			with(func(c *domain.ConnectionConfig) { c.SSLMode = domain.SSLRequire }), "",
			told(func(c *mongotool.Config) { c.URI, c.Insecure = secure, true }),
		},
		"verify-ca is checked, by its name too": {
			with(func(c *domain.ConnectionConfig) { c.SSLMode, c.CACertificate = domain.SSLVerifyCA, ca }), "",
			told(func(c *mongotool.Config) { c.URI, c.CA = secure, ca }),
		},
		"verify-full": {
			with(func(c *domain.ConnectionConfig) { c.SSLMode, c.CACertificate = domain.SSLVerifyFull, ca }), "",
			told(func(c *mongotool.Config) { c.URI, c.CA = secure, ca }),
		},
		// One member, through this process, which checks its certificate.
		"through a tunnel": {
			with(func(c *domain.ConnectionConfig) {
				c.SSLMode, c.CACertificate, c.AuthSource = domain.SSLVerifyCA, ca, "users"
			}), "127.0.0.1:1",
			told(func(c *mongotool.Config) {
				c.URI, c.AuthSource = "mongodb://mongodb.sock/?directConnection=true", "users"
			}),
		},
		"one server": {
			with(func(c *domain.ConnectionConfig) {
				c.SSLMode, c.CACertificate, c.ReplicaSet = domain.SSLVerifyCA, ca, ""
			}), "",
			told(func(c *mongotool.Config) { c.URI = "mongodb://mongodb.sock/?directConnection=true" }),
		},
		"a URI": {
			domain.ConnectionConfig{URI: "mongodb://u:p@a,b/shop?tls=true", ReplicaSet: "rs0", AuthSource: "users", CACertificate: ca}, "",
			mongotool.Config{URI: "mongodb://u:p@a,b/?authSource=users&replicaSet=rs0&tls=true", CA: ca},
		},
	} {
		t.Run(name, func(t *testing.T) {
			child := &command{}
			defer child.close()
			var got mongotool.Config
			require.NoError(t, child.connection(t.Context(), engine.Source{Type: domain.MongoDB, Config: test.config, Via: test.via}, &got))
			require.Equal(t, test.want, got)
		})
	}
}

// Each member has a certificate for its own name, which the driver puts in where there is none; one server has that of the datasource, also
// at the end of a tunnel.
func TestMembersOfAReplicaSetAreCheckedForTheirOwnNames(t *testing.T) {
	for name, test := range map[string]struct{ replicaSet, via, want string }{
		"one server":                     {"", "", "db.example"},
		"one server through a tunnel":    {"", "127.0.0.1:1", "db.example"},
		"a replica set":                  {"rs0", "", ""},
		"a replica set through a tunnel": {"rs0", "127.0.0.1:1", "db.example"},
	} {
		t.Run(name, func(t *testing.T) {
			opts, err := clientOptions(engine.Source{Via: test.via, Config: domain.ConnectionConfig{
				Host: "db.example", Port: 27017, ReplicaSet: test.replicaSet, SSLMode: domain.SSLVerifyFull,
			}})
			require.NoError(t, err)
			require.Equal(t, test.want, opts.TLSConfig.ServerName)
		})
	}
}
