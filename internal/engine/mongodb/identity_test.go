package mongodb

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
)

func TestAServerIsToldByItsReplicaSetOrItsProcess(t *testing.T) {
	process := primitive.NewObjectID()
	for name, c := range map[string]struct {
		says bson.D
		is   string
	}{
		"a member": {bson.D{{Key: "setName", Value: "rs"}, {Key: "hosts", Value: bson.A{"b:1", "a:1"}}, {Key: "me", Value: "b:1"},
			{Key: "topologyVersion", Value: bson.D{{Key: "processId", Value: process}}}}, "rs of a:1,b:1"},
		"another member of it": {bson.D{{Key: "setName", Value: "rs"}, {Key: "hosts", Value: bson.A{"a:1", "b:1"}}, {Key: "me", Value: "a:1"}}, "rs of a:1,b:1"},
		"a server in no set":   {bson.D{{Key: "topologyVersion", Value: bson.D{{Key: "processId", Value: process}, {Key: "counter", Value: int64(0)}}}}, process.Hex()},
		"one that says little": {bson.D{{Key: "ok", Value: 1.0}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := bson.Marshal(c.says)
			require.NoError(t, err)
			var said hello
			require.NoError(t, bson.Unmarshal(raw, &said))
			require.Equal(t, c.is, said.server())
		})
	}
}
