package temporalserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/dataguardian/dataguardian/internal/contract"
)

const (
	clusterName  = "active"
	databaseFile = "temporal.db"
	storeName    = "sqlite"
)

// serverOptions is everything the Temporal server is started with.
func serverOptions(conf *config.Config, logger serverLogger) ([]temporal.ServerOption, error) {
	authorizer, err := authorization.GetAuthorizerFromConfig(&conf.Global.Authorization)
	if err != nil {
		return nil, fmt.Errorf("make the authorizer: %w", err)
	}
	claims, err := authorization.GetClaimMapperFromConfig(&conf.Global.Authorization, logger)
	if err != nil {
		return nil, fmt.Errorf("make the claim mapper: %w", err)
	}
	hosts := map[primitives.ServiceName]static.Hosts{}
	for name, service := range conf.Services {
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(fmt.Sprintf("%s:%d", localhost, service.RPC.GRPCPort))
	}
	return []temporal.ServerOption{
		temporal.WithConfig(conf),
		temporal.ForServices(temporal.DefaultServices),
		// One process: there is nobody to gossip with.
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorizer),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claims }),
		temporal.WithDynamicConfigClient(dynamicSettings()),
	}, nil
}

// dynamicSettings fit a cluster of one process with some backups running: less memory and fewer
// polls than the defaults, which are for many machines.
func dynamicSettings() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():                 512,
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():           1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key():          1,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 100,
		// A search attribute added at start is usable at once.
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
	}
}

// serverConfig is the static configuration: all services on localhost, one SQLite store, no
// archival, no metrics and no profiling port.
func serverConfig(opts Options, frontendPort int) (*config.Config, error) {
	store, err := openStore(opts)
	if err != nil {
		return nil, err
	}
	frontend := fmt.Sprintf("%s:%d", localhost, frontendPort)
	conf := &config.Config{
		Global: config.Global{
			Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: localhost},
		},
		Persistence: config.Persistence{
			DefaultStore:     storeName,
			VisibilityStore:  storeName,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{storeName: {SQL: store}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		PublicClient:        config.PublicClient{HostPort: frontend},
		Services:            map[string]config.Service{},
	}
	conf.Archival.History.State = config.ArchivalDisabled
	conf.Archival.Visibility.State = config.ArchivalDisabled
	conf.NamespaceDefaults.Archival.History.State = config.ArchivalDisabled
	conf.NamespaceDefaults.Archival.Visibility.State = config.ArchivalDisabled

	for _, name := range temporal.DefaultServices {
		port := frontendPort
		if primitives.ServiceName(name) != primitives.FrontendService {
			if port, err = freePort(); err != nil {
				return nil, err
			}
		}
		conf.Services[name] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: localhost}}
	}
	return conf, nil
}

// openStore prepares the SQLite database: schema, and the namespace with its search attributes.
// Writing the namespace before the server starts saves the seconds its caches take to learn of it.
func openStore(opts Options) (*config.SQL, error) {
	store := &config.SQL{PluginName: sqliteplugin.PluginName}
	if opts.InMemory {
		store.DatabaseName = "temporal-" + uuid.NewString()
		store.ConnectAttributes = map[string]string{"mode": "memory", "cache": "shared"}
	} else {
		path := filepath.Join(opts.DataDir, databaseFile)
		if err := createDatabase(path); err != nil {
			return nil, err
		}
		store.DatabaseName = path
		// The server uses one connection. WAL spares readers like a backup of the file. "normal" does
		// not wait for the disk at each of the twenty and more transactions of a backup: a killed
		// process loses nothing, a power failure the last moments, which the sweep of internal/reconcile
		// then closes truthfully. The catalogue in Postgres is the source of truth, and it waits.
		store.ConnectAttributes = map[string]string{"mode": "rw", "journal_mode": "wal", "synchronous": "normal", "busy_timeout": "10000"}
	}
	attributes := map[string]enumspb.IndexedValueType{}
	for _, name := range contract.SearchAttributeNames() {
		attributes[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	}
	namespace, err := sqliteschema.NewNamespaceConfig(clusterName, opts.Namespace, false, attributes)
	if err != nil {
		return nil, fmt.Errorf("describe namespace %q: %w", opts.Namespace, err)
	}
	namespace.Detail.Config.Retention = durationpb.New(opts.Retention)
	if err := sqliteschema.CreateNamespaces(store, namespace); err != nil {
		return nil, fmt.Errorf("create namespace %q in %s: %w", opts.Namespace, store.DatabaseName, err)
	}
	return store, nil
}

// createDatabase makes the database file with its schema unless it exists. The schema is loaded
// into a file beside it and renamed, so that a kill in between leaves nothing half made.
func createDatabase(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for the Temporal database: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the directory of the Temporal database: %w", err)
	}
	fresh := path + "." + uuid.NewString() + ".new" // a name of its own: the driver pools by name
	defer func() { _ = os.Remove(fresh) }()
	err := sqliteschema.SetupSchema(&config.SQL{
		PluginName: sqliteplugin.PluginName, DatabaseName: fresh, ConnectAttributes: map[string]string{"mode": "rwc"},
	})
	if err != nil {
		return fmt.Errorf("set up the Temporal database: %w", err)
	}
	if err := os.Chmod(fresh, 0o600); err != nil {
		return fmt.Errorf("protect the Temporal database: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("put the Temporal database in place: %w", err)
	}
	return nil
}
