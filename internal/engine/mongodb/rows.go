package mongodb

import (
	"context"
	"errors"
	"io"
	"strings"

	"go.mongodb.org/mongo-driver/bson"

	"github.com/dataguardian/dataguardian/internal/engine"
)

var _ engine.RowCounter = (*Engine)(nil)

// documents are those of each collection that an archive held; collections of the server itself are left out, as in
// CountRows.
func (n *namespaces) documents() map[string]int64 {
	rows := map[string]int64{}
	for name, count := range n.counts {
		_, collection, _ := strings.Cut(name, ".") // a database has no dot in its name
		if !isServers(collection) {
			rows[collection] = count
		}
	}
	return rows
}

// counting is an archive that records its documents when it has been read to its end.
type counting struct {
	*checked
	properties map[string]string
}

func (c counting) Read(b []byte) (int, error) {
	n, err := c.checked.Read(b)
	if errors.Is(err, io.EOF) {
		engine.SetRows(c.properties, c.found.documents)
	}
	return n, err
}

// RecordedRows reads how many documents the archive had.
func (e *Engine) RecordedRows(streams []engine.Stream) (map[string]int64, bool, error) {
	stream, err := mainStream(streams)
	if err != nil {
		return nil, false, err
	}
	if _, changed := changesStream(streams); changed {
		return nil, false, nil // how many there are then is not counted
	}
	return engine.RowsOf(stream)
}

// CountRows counts the documents of every collection.
func (e *Engine) CountRows(ctx context.Context, src engine.Source) (map[string]int64, error) {
	client, err := connect(ctx, src)
	if err != nil {
		return nil, err
	}
	defer disconnect(client)
	all, err := client.existing(ctx, src.Config.Database)
	if err != nil {
		return nil, err
	}
	rows := map[string]int64{}
	for _, s := range all {
		if s.Type == typeView {
			continue
		}
		n, err := client.Database(src.Config.Database).Collection(s.Name).CountDocuments(ctx, bson.D{})
		if err != nil {
			return nil, classify("count the documents of collection "+s.Name, err)
		}
		rows[s.Name] = n
	}
	return rows, nil
}
