package mongodb_test

import (
	"bytes"
	"hash/crc64"
	"testing"

	"github.com/mongodb/mongo-tools/common/archive"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// block is a header and what follows it.
func block(t *testing.T, header archive.NamespaceHeader, documents ...bson.D) []byte {
	t.Helper()
	out, err := bson.Marshal(header)
	require.NoError(t, err)
	for _, document := range documents {
		data, err := bson.Marshal(document)
		require.NoError(t, err)
		out = append(out, data...)
	}
	return append(out, 0xff, 0xff, 0xff, 0xff)
}

// What the test server has none of: views, time series, and namespaces that take turns.
func TestAnArchiveIsReadToTheEndOfEveryNamespace(t *testing.T) {
	one, two := bson.D{{Key: "_id", Value: 1}}, bson.D{{Key: "_id", Value: 2}}
	sum := func(documents ...bson.D) int64 {
		hash := crc64.New(crc64.MakeTable(crc64.ECMA))
		for _, document := range documents {
			data, err := bson.Marshal(document)
			require.NoError(t, err)
			_, _ = hash.Write(data)
		}
		return int64(hash.Sum64())
	}
	open := func(name string, documents ...bson.D) []byte {
		return block(t, archive.NamespaceHeader{Database: "d", Collection: name}, documents...)
	}
	end := func(name string, crc int64) []byte {
		return block(t, archive.NamespaceHeader{Database: "d", Collection: name, EOF: true, CRC: crc})
	}
	prelude := &archive.Prelude{Header: &archive.Header{FormatVersion: "0.1", ServerVersion: "7", ToolVersion: "100"}}
	for name, kind := range map[string]string{"a": "collection", "b": "", "v": "view", "ts": "timeseries"} {
		prelude.AddMetadata(&archive.CollectionMetadata{Database: "d", Collection: name, Type: kind, Metadata: `{"indexes":[]}`})
	}
	whole := [][]byte{
		open("a", one), open("b", two), open("a", two), end("a", sum(one, two)), end("b", sum(two)), end("v", 0), end("system.buckets.ts", 0),
	}
	without := func(i int) [][]byte { return append(append([][]byte{}, whole[:i]...), whole[i+1:]...) }
	for name, test := range map[string]struct {
		blocks [][]byte
		wrong  string
	}{
		"a whole one":                      {whole, ""},
		"without a document":               {without(2), "checksum of d.a"},
		"without the end of a collection":  {without(4), "before the end of d.b"},
		"without the end of a view":        {without(5), "before the end of d.v"},
		"without the end of a time series": {without(6), "before the end of d.system.buckets.ts"},
		"with a collection twice":          {append(append([][]byte{}, whole...), open("a", one)), "d.a is not announced"},
		"with one that nobody announced":   {append(append([][]byte{}, whole...), open("x", one)), "d.x is not announced"},
	} {
		t.Run(name, func(t *testing.T) {
			var stream bytes.Buffer
			require.NoError(t, prelude.Write(&stream))
			stream.Write(bytes.Join(test.blocks, nil))
			tables, err := newEngine().Inspect(enginetest.Context(t), engine.Stream{Format: mongodb.Format}, &stream)
			if test.wrong == "" {
				require.NoError(t, err)
				require.Equal(t, 3, tables)
				return
			}
			enginetest.RequireClass(t, failure.Corrupt, err)
			require.ErrorContains(t, err, test.wrong)
		})
	}
}

func TestAnArchiveOfSeveralDatabasesIsNone(t *testing.T) {
	prelude := &archive.Prelude{Header: &archive.Header{FormatVersion: "0.1", ServerVersion: "7", ToolVersion: "100"}}
	for _, database := range []string{"d", "admin"} {
		prelude.AddMetadata(&archive.CollectionMetadata{Database: database, Collection: "c", Type: "collection", Metadata: `{"indexes":[]}`})
	}
	var stream bytes.Buffer
	require.NoError(t, prelude.Write(&stream))
	_, err := newEngine().Inspect(enginetest.Context(t), engine.Stream{Format: mongodb.Format}, &stream)
	enginetest.RequireClass(t, failure.Corrupt, err)
	require.ErrorContains(t, err, "admin")
}
