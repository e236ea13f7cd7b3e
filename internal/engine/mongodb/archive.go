package mongodb

import (
	"bufio"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
	"io"

	"github.com/mongodb/mongo-tools/common/archive"
	"go.mongodb.org/mongo-driver/bson"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// contents is what an archive holds.
type contents struct {
	database    string
	collections int // without views
	names       []string
	// indexes are the definitions of each collection's, without that of _id.
	indexes map[string][]bson.D
	// documents of each collection
	documents map[string]int64
}

// The types of namespaces in an archive's prelude; an old server gives none.
const (
	typeView       = "view"
	typeTimeSeries = "timeseries"
	bucketsPrefix  = "system.buckets."
)

var crcTable = crc64.MakeTable(crc64.ECMA)

// readArchive reads an archive to its end. The format has no end marker of its own: each namespace of the
// prelude has one, with a checksum of its documents, and every one has to be there. An error of r is
// returned as it is, everything else is failure.Corrupt.
func readArchive(r io.Reader) (contents, error) {
	source := &sourceReader{r: bufio.NewReaderSize(r, 1<<20)}
	found, err := parseArchive(source)
	switch {
	case source.err != nil:
		return found, source.err
	case err != nil:
		return found, failure.Wrap(failure.Corrupt, "read the archive", err, "The backup is damaged; restore another one.")
	}
	return found, nil
}

func parseArchive(r io.Reader) (contents, error) {
	var found contents
	prelude := &archive.Prelude{}
	if err := prelude.Read(r); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return found, err
	}
	check := &namespaces{open: map[string]hash.Hash64{}, counts: map[string]int64{}}
	for _, meta := range prelude.NamespaceMetadatas {
		data := meta.Collection
		if found.database != "" && found.database != meta.Database {
			return found, fmt.Errorf("it is of the databases %s and %s, and a backup is of one", found.database, meta.Database)
		}
		if err := found.addIndexes(meta); err != nil {
			return found, err
		}
		switch meta.Type {
		case typeView:
			found.collections--
		case typeTimeSeries:
			data = bucketsPrefix + data
		}
		found.collections++
		found.database = meta.Database
		found.names = append(found.names, meta.Collection)
		check.open[meta.Database+"."+data] = crc64.New(crcTable)
		if meta.Type != typeView {
			check.counts[meta.Database+"."+data] = 0
		}
	}
	parser := &archive.Parser{In: r}
	if err := parser.ReadAllBlocks(check); err != nil {
		return found, err
	}
	for name := range check.open {
		return found, fmt.Errorf("it ends before the end of %s", name)
	}
	found.documents = check.documents()
	return found, nil
}

// addIndexes reads what the prelude says of a collection, which is extended JSON.
func (c *contents) addIndexes(meta *archive.CollectionMetadata) error {
	var metadata struct{ Indexes []bson.D }
	if meta.Metadata == "" {
		return nil
	}
	if err := bson.UnmarshalExtJSON([]byte(meta.Metadata), true, &metadata); err != nil {
		return fmt.Errorf("the description of %s: %w", meta.Collection, err)
	}
	if c.indexes == nil {
		c.indexes = map[string][]bson.D{}
	}
	for _, index := range metadata.Indexes {
		var definition bson.D
		for _, field := range index {
			// Old servers put the namespace in; the version is the new server's choice.
			if field.Key != "ns" && field.Key != "v" && field.Key != "background" {
				definition = append(definition, field)
			}
		}
		if name, _ := lookUp(definition, "name").(string); name != "_id_" {
			c.indexes[meta.Collection] = append(c.indexes[meta.Collection], definition)
		}
	}
	return nil
}

func lookUp(document bson.D, key string) any {
	for _, field := range document {
		if field.Key == key {
			return field.Value
		}
	}
	return nil
}

// namespaces follows the blocks of an archive.
type namespaces struct {
	open    map[string]hash.Hash64 // of what was read of each that has not ended
	current hash.Hash64
	counts  map[string]int64 // documents
	name    string           // of current
}

// HeaderBSON begins a block, or ends a namespace.
func (n *namespaces) HeaderBSON(data []byte) error {
	var header archive.NamespaceHeader
	if err := bson.Unmarshal(data, &header); err != nil {
		return err
	}
	name := header.Database + "." + header.Collection
	sum, known := n.open[name]
	if !known {
		return fmt.Errorf("%s is not announced, or has ended before", name)
	}
	n.current, n.name = sum, name
	if header.EOF {
		n.current = nil
		delete(n.open, name)
		if uint64(header.CRC) != sum.Sum64() { //nolint:gosec // the same bits
			return fmt.Errorf("the checksum of %s is wrong", name)
		}
	}
	return nil
}

// BodyBSON is a document.
func (n *namespaces) BodyBSON(data []byte) error {
	if n.current == nil {
		return errors.New("there is a document after the end of its collection")
	}
	n.counts[n.name]++
	_, err := n.current.Write(data)
	return err
}

// End is called at the end of the archive.
func (n *namespaces) End() error { return nil }

// sourceReader remembers an error of the reader itself.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// checked is an archive that is followed while it is read: its last Read gives io.EOF only if everything
// was there. stop ends it early.
type checked struct {
	r      io.Reader
	pipe   *io.PipeWriter
	result chan struct{} // closed when found and err are set
	found  contents
	err    error
	ended  error
}

func newChecked(r io.Reader) *checked {
	read, write := io.Pipe()
	c := &checked{r: r, pipe: write, result: make(chan struct{})}
	go func() {
		defer close(c.result)
		c.found, c.err = readArchive(read)
		if c.err == nil {
			c.err = io.EOF
		}
		_ = read.CloseWithError(c.err)
	}()
	return c
}

func (c *checked) Read(b []byte) (int, error) {
	if c.ended != nil {
		return 0, c.ended
	}
	n, err := c.r.Read(b)
	if n > 0 {
		if _, damage := c.pipe.Write(b[:n]); damage != nil {
			<-c.result
			c.ended = c.err
			if errors.Is(c.ended, io.EOF) { // can not be: the parser stops at the end only
				c.ended = failure.New(failure.Corrupt, "read the archive", "there is more after its end", "")
			}
			return 0, c.ended
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		_ = c.pipe.Close()
		<-c.result
		err = c.err
	case err != nil:
		c.stop()
	}
	c.ended = err
	return n, err
}

// stop lets go of the check. It may be called again, and after the end.
func (c *checked) stop() {
	_ = c.pipe.CloseWithError(errors.New("the archive was not read to its end"))
	<-c.result
}
