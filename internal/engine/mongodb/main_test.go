package mongodb_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongodbserver"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongotool"
)

var (
	server *mongodbserver.Server
	front  *gate // what every connection of a test goes through
)

// TestMain is also the engine's child process, as main is in the product.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == mongotool.Name {
		os.Exit(mongotool.Run(os.Args[2:]))
	}
	os.Exit(run(m))
}

// run starts one server for all tests. Without one nothing here can be tested, so that is a failure.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "dataguardian-mongodb-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if server, err = mongodbserver.Start(context.Background(), mongodbserver.Options{Dir: dir}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Stop()
	if front, err = newGate(server.Port); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer front.listener.Close()
	status := m.Run()
	if said, ended := server.Ended(); ended {
		fmt.Fprintln(os.Stderr, "the server has ended by itself:", said)
		return 1
	}
	return status
}

// gate passes connections on to the server, and while it is shut, none of mongodump's.
type gate struct {
	listener net.Listener
	target   string
	shut     atomic.Pointer[chan struct{}] // closed when it opens again
}

func newGate(port int) (*gate, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{listener: listener, target: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go g.serve(near)
		}
	}()
	return g, nil
}

func (g *gate) port() int { return g.listener.Addr().(*net.TCPAddr).Port }

func (g *gate) serve(near net.Conn) {
	defer near.Close()
	hello := make([]byte, 64<<10) // says who connects
	n, err := near.Read(hello)
	if err != nil {
		return
	}
	if shut := g.shut.Load(); shut != nil && bytes.Contains(hello[:n], []byte("mongodump")) {
		<-*shut
	}
	far, err := net.Dial("tcp", g.target)
	if err != nil {
		return
	}
	defer far.Close()
	if _, err := far.Write(hello[:n]); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
}

// hold makes mongodump wait for the server.
func hold(t *testing.T, _ engine.Source) (release func()) {
	t.Helper()
	open := make(chan struct{})
	front.shut.Store(&open)
	return func() {
		front.shut.Store(nil)
		close(open)
	}
}

func newEngine() *mongodb.Engine { return mongodb.New(mongodb.Options{}) }

// self is the program that the engine runs as its child.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Readlink("/proc/self/exe")
	require.NoError(t, err)
	return path
}

func withTools(t *testing.T) func(string) engine.Engine {
	return func(dir string) engine.Engine {
		return mongodb.New(mongodb.Options{Program: filepath.Join(dir, filepath.Base(self(t)))})
	}
}

func source(database string) engine.Source {
	return engine.Source{Name: "test " + database, Type: domain.MongoDB, Config: domain.ConnectionConfig{
		Host: "127.0.0.1", Port: front.port(), Database: database,
		Username: mongodbserver.Username, Password: mongodbserver.Password, SSLMode: domain.SSLDisable,
	}}
}

func in(src engine.Source, database string) engine.Source {
	src.Config.Database = database
	return src
}

// open connects to the server itself.
func open(t *testing.T) *mongo.Client {
	t.Helper()
	return openAt(t, server.Port)
}

func openAt(t *testing.T, port int) *mongo.Client {
	t.Helper()
	client, err := mongo.Connect(context.Background(), options.Client().
		ApplyURI(fmt.Sprintf("mongodb://127.0.0.1:%d/?directConnection=true", port)).
		SetAuth(options.Credential{Username: mongodbserver.Username, Password: mongodbserver.Password, PasswordSet: true, AuthSource: "admin"}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	return client
}

func databases(t *testing.T) []string {
	t.Helper()
	names, err := open(t).ListDatabaseNames(context.Background(), bson.D{})
	require.NoError(t, err)
	slices.Sort(names)
	return names
}

var databaseNumber atomic.Int64

// fresh names a database that does not exist and drops it at the end.
func fresh(t *testing.T) string {
	t.Helper()
	name := "fresh" + strconv.FormatInt(databaseNumber.Add(1), 10)
	dropAfter(t, name)
	return name
}

func dropAfter(t *testing.T, name string) {
	t.Helper()
	t.Cleanup(func() { require.NoError(t, open(t).Database(name).Drop(context.Background())) })
}

// isOurs are the collections that a restore keeps its books in, or has not promoted.
func isOurs(name string) bool {
	return name == "dataguardian_restore" || strings.HasPrefix(name, "dg_")
}

// content is every document, option and index of a database. What a restore keeps its books in is no
// part of it.
func content(t *testing.T, src engine.Source) any {
	t.Helper()
	ctx, database := context.Background(), open(t).Database(src.Config.Database)
	specs, err := database.ListCollectionSpecifications(ctx, bson.D{})
	require.NoError(t, err)
	all := map[string][]string{}
	for _, spec := range specs {
		if isOurs(spec.Name) {
			continue
		}
		lines := []string{spec.Type, spec.Options.String()}
		indexes, err := database.Collection(spec.Name).Indexes().ListSpecifications(ctx)
		require.NoError(t, err)
		for _, index := range indexes {
			lines = append(lines, fmt.Sprint(index.Name, index.KeysDocument, index.Unique != nil && *index.Unique))
		}
		cursor, err := database.Collection(spec.Name).Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
		require.NoError(t, err)
		for cursor.Next(ctx) {
			lines = append(lines, cursor.Current.String())
		}
		require.NoError(t, cursor.Err())
		all[spec.Name] = lines
	}
	return all
}

// closedPort is a port that nobody listens on.
func closedPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().(*net.TCPAddr).Port
}

var moment = time.Date(2024, 2, 29, 23, 59, 59, 999_000_000, time.UTC)
