package mongodb

import (
	"context"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"

	"github.com/dataguardian/dataguardian/internal/engine"
)

var _ engine.Identifier = (*Engine)(nil)

// hello is what a server says of itself to everybody.
type hello struct {
	SetName string   `bson:"setName"`
	Hosts   []string `bson:"hosts"`
	Version struct {
		Process primitive.ObjectID `bson:"processId"`
	} `bson:"topologyVersion"`
}

// server is the replica set with its members, or the process of a server that is in none; "" where it does not say.
func (h hello) server() string {
	switch {
	case h.SetName != "":
		hosts := slices.Clone(h.Hosts)
		slices.Sort(hosts)
		return h.SetName + " of " + strings.Join(hosts, ",")
	case !h.Version.Process.IsZero():
		return h.Version.Process.Hex()
	}
	return ""
}

// Identity is that of the server, with the database's name.
func (e *Engine) Identity(ctx context.Context, src engine.Source) (string, error) {
	client, err := connect(ctx, src)
	if err != nil {
		return "", err
	}
	defer disconnect(client)
	var said hello // by its older name, which every version knows
	if err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "isMaster", Value: 1}}).Decode(&said); err != nil {
		return "", classify("ask for the server's identity", err)
	}
	if said.server() == "" {
		return "", nil
	}
	return said.server() + "/" + src.Config.Database, nil
}
