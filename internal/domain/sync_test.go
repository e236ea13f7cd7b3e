package domain

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOneDatabaseHasOneAddressWhateverItsHostIsCalled(t *testing.T) {
	at := func(t DatasourceType, c ConnectionConfig) Address { return AddressOf(t, c, "default") }
	shop := at(Postgres, ConnectionConfig{Host: "localhost", Port: 5432, Database: "shop"})
	for name, c := range map[string]struct {
		a, b Address
		same bool
	}{
		"an address of the machine":    {shop, at(Postgres, ConnectionConfig{Host: "127.0.0.1", Database: "shop"}), true},
		"another one of it":            {shop, at(Postgres, ConnectionConfig{Host: "127.9.9.9", Port: 5432, Database: "shop"}), true},
		"of the newer kind":            {shop, at(Postgres, ConnectionConfig{Host: "::1", Port: 5432, Database: "shop"}), true},
		"a socket":                     {shop, at(Postgres, ConnectionConfig{Host: "/var/run/postgresql", Database: "shop"}), true},
		"written otherwise":            {shop, at(Postgres, ConnectionConfig{Host: " LocalHost. ", Database: "shop"}), true},
		"another port":                 {shop, at(Postgres, ConnectionConfig{Host: "localhost", Port: 5433, Database: "shop"}), false},
		"another database":             {shop, at(Postgres, ConnectionConfig{Host: "localhost", Database: "Shop"}), false},
		"the server it is on":          {shop, at(Postgres, ConnectionConfig{Host: "localhost", Databases: &DatabaseSelection{All: true}}), true},
		"localhost of a bastion":       {shop, at(Postgres, ConnectionConfig{Host: "localhost", Database: "shop", SSHTunnel: &SSHTunnel{Host: "bastion"}}), false},
		"mysql and mariadb":            {at(MySQL, ConnectionConfig{Host: "db", Database: "shop"}), at(MariaDB, ConnectionConfig{Host: "DB", Port: 3306, Database: "shop"}), true},
		"SQL Server's names":           {at(SQLServer, ConnectionConfig{Host: "db", Database: "Shop"}), at(SQLServer, ConnectionConfig{Host: "db", Database: "shop"}), true},
		"a URI":                        {at(MongoDB, ConnectionConfig{URI: "mongodb://localhost:27017/shop"}), at(MongoDB, ConnectionConfig{Host: "127.0.0.1", Database: "shop"}), true},
		"a path":                       {at(SQLite, ConnectionConfig{FilePath: "/srv/a/../shop.db"}), at(SQLite, ConnectionConfig{FilePath: "/srv/shop.db"}), true},
		"a directory in the other":     {at(Files, ConnectionConfig{SourcePath: "/srv/files"}), at(Files, ConnectionConfig{SourcePath: "/srv/files/sub"}), true},
		"a directory beside the other": {at(Files, ConnectionConfig{SourcePath: "/srv/files"}), at(Files, ConnectionConfig{SourcePath: "/srv/files2"}), false},
		"a path of another pool":       {at(SQLite, ConnectionConfig{FilePath: "/srv/shop.db"}), AddressOf(SQLite, ConnectionConfig{FilePath: "/srv/shop.db"}, "site-b"), false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.same, c.a.Overlaps(c.b), "%v %v", c.a, c.b)
			require.Equal(t, c.same, c.b.Overlaps(c.a))
		})
	}
}

func TestACircleOfSyncsIsFoundHoweverLong(t *testing.T) {
	at := func(host string) Address { return Address{Server: host, Database: "shop"} }
	arrow := func(job, from, into string) SyncEdge { return SyncEdge{job, at(from), at(into)} }
	chain := []SyncEdge{arrow("ab", "a", "b"), arrow("bc", "b", "c"), arrow("cd", "c", "d"), arrow("bx", "b", "x")}
	for name, c := range map[string]struct {
		added SyncEdge
		loop  []string
	}{
		"back":                    {arrow("new", "b", "a"), []string{"ab"}},
		"back over all":           {arrow("new", "d", "a"), []string{"ab", "bc", "cd"}},
		"on":                      {arrow("new", "d", "e"), nil},
		"a second way forward":    {arrow("new", "a", "d"), nil},
		"the whole server of one": {SyncEdge{"new", Address{Server: "d"}, at("b")}, []string{"bc", "cd"}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.loop, SyncLoop(chain, c.added)) })
	}
	require.Equal(t, []string{}, SyncLoop(nil, arrow("new", "a", "a")))
}

func TestWhatARestoreOverwritesHasAnAddress(t *testing.T) {
	one := ConnectionConfig{Host: "db", Database: "shop"}
	require.Equal(t, []Address{AddressOf(Postgres, one, "p")}, RestoreOptions{}.Targets(Postgres, one, "p"))
	server := ConnectionConfig{Host: "db", Databases: &DatabaseSelection{All: true}}
	two := RestoreOptions{Databases: []string{"shop", "stock"}}.Targets(Postgres, server, "p")
	require.Len(t, two, 2)
	require.True(t, two[0].Overlaps(AddressOf(Postgres, one, "p")))
	require.False(t, two[1].Overlaps(AddressOf(Postgres, one, "p")))
	renamed := RestoreOptions{Databases: []string{"stock"}, TargetDatabase: "shop"}.Targets(Postgres, server, "p")
	require.Equal(t, []Address{AddressOf(Postgres, one, "p")}, renamed)
	file := ConnectionConfig{FilePath: "/srv/shop.db"}
	require.Equal(t, "/srv/copy.db", RestoreOptions{TargetDatabase: "copy.db"}.Targets(SQLite, file, "p")[0].Database)
	require.Equal(t, "/tmp/copy.db", RestoreOptions{TargetDatabase: "/tmp/copy.db"}.Targets(SQLite, file, "p")[0].Database)
	uri := ConnectionConfig{URI: "mongodb://db/shop"}
	require.Equal(t, "copy", RestoreOptions{TargetDatabase: "copy"}.Targets(MongoDB, uri, "p")[0].Database)
}
