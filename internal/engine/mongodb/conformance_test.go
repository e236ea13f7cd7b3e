package mongodb_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

func TestMongoDBIsAnEngineAndAStager(t *testing.T) {
	enginetest.Run(t, enginetest.Harness{
		Engine:      newEngine(),
		WithTools:   withTools(t),
		Source:      newSample(t, "sample"),
		MinTables:   sampleCollections,
		MinBytes:    200_000,
		DumpTool:    self(t),
		RestoreTool: self(t),
		WrongPassword: func(src engine.Source) engine.Source {
			src.Config.Password = "not the password"
			return src
		},
		MissingDatabase: func(src engine.Source) engine.Source { return in(src, "missing") },
		Unreachable: func(src engine.Source) engine.Source {
			src.Config.Port = closedPort(t)
			return src
		},
		Hold:          hold,
		FreshDatabase: fresh,
		In:            in,
		Content:       content,
		Databases:     databases,
	})
}

// What the test server refuses is not in the round trip: a server that takes it makes this fail.
func TestTheSampleHasEveryTypeThatTheServerTakes(t *testing.T) {
	name := fresh(t)
	collection := open(t).Database(name).Collection("c")
	for kind, value := range refused {
		_, err := collection.InsertOne(context.Background(), bson.D{{Key: "v", Value: value}})
		require.Error(t, err, kind)
	}
}
