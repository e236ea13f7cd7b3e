package mongodb

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// The stream of what changed while the collections were read: entries of the oplog, one after the other, as
// mongodump has them in its file oplog.bson and mongorestore --oplogReplay reads them.
const (
	ChangesName   = "oplog"
	ChangesFormat = "mongodb-oplog"
)

const propChanges = "until" // the moment that the backup is of, for people

// change is an entry of the oplog.
type change struct {
	TS primitive.Timestamp `bson:"ts"`
	V  int64               `bson:"v"`
	Op string              `bson:"op"` // i, u, d: a document is inserted, updated, deleted; c: a command
	NS string              `bson:"ns"`
	O  bson.Raw            `bson:"o"`
	O2 bson.Raw            `bson:"o2,omitempty"`
}

// collection is the name of what an entry is about, without its database.
func (c change) collection() (database, collection string) {
	database, collection, _ = strings.Cut(c.NS, ".")
	return database, collection
}

// id is that of the document that is changed.
func (c change) id() bson.RawValue {
	if c.Op == "u" {
		return c.O2.Lookup("_id")
	}
	return c.O.Lookup("_id")
}

// diff is how an update of MongoDB 5 and newer describes what changed.
func (c change) diff() (bson.RawValue, bool) {
	version, _ := c.O.Lookup("$v").AsInt64OK()
	diff, err := c.O.LookupErr("diff")
	return diff, c.Op == "u" && version == 2 && err == nil
}

// command is the name of a command, and the text that stands beside it, if it is one.
func (c change) command() (name, about string) {
	elements, err := c.O.Elements()
	if err != nil || len(elements) == 0 {
		return "", ""
	}
	about, _ = elements[0].Value().StringValueOK()
	return elements[0].Key(), about
}

// changesStream is the stream of changes, if the backup has one.
func changesStream(streams []engine.Stream) (engine.Stream, bool) {
	for _, s := range streams {
		if s.Format == ChangesFormat {
			return s, true
		}
	}
	return engine.Stream{}, false
}

// eachChange reads a stream of changes to its end.
func eachChange(r io.Reader, take func(change) error) error {
	source := &sourceReader{r: bufio.NewReaderSize(r, 256<<10)}
	for n := 1; ; n++ {
		document, err := bson.ReadDocument(source)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case source.err != nil:
			return source.err
		}
		var c change
		if err == nil {
			err = bson.Unmarshal(document, &c)
		}
		if err == nil && c.O == nil {
			err = errors.New("it changes nothing")
		}
		if err != nil {
			return failure.Wrap(failure.Corrupt, "read the changes", fmt.Errorf("entry %d: %w", n, err), "The backup is damaged; restore another one.")
		}
		if err := take(c); err != nil {
			return err
		}
	}
}
