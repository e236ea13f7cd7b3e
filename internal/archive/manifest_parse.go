package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// manifestParser reads the top level of a document.
type manifestParser struct {
	decoder  *json.Decoder
	manifest *Manifest
}

func (p *manifestParser) parse() error {
	if err := p.expect('{'); err != nil {
		return err
	}
	header := map[string]json.RawMessage{}
	seen := map[string]bool{}
	for p.decoder.More() {
		token, err := p.decoder.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if seen[name] {
			return fmt.Errorf("field %.40q is there twice", name)
		}
		seen[name] = true
		if err := p.field(name, header); err != nil {
			return fmt.Errorf("field %.40q: %w", name, err)
		}
		// The version comes second: what a newer one looks like is not for us to judge.
		if name == "version" {
			if err := checkVersion(header); err != nil {
				return err
			}
		}
	}
	if err := p.expect('}'); err != nil {
		return err
	}
	for _, required := range []string{"format", "version", "streams", "objects", "mac"} {
		if !seen[required] {
			return fmt.Errorf("field %q is missing", required)
		}
	}
	return p.setHeader(header)
}

func (p *manifestParser) expect(delim json.Delim) error {
	token, err := p.decoder.Token()
	if err != nil {
		return err
	}
	if token != delim {
		return fmt.Errorf("found %.40v where %v belongs", token, delim)
	}
	return nil
}

func checkVersion(header map[string]json.RawMessage) error {
	var format string
	var version int
	if err := errors.Join(json.Unmarshal(header["format"], &format), json.Unmarshal(header["version"], &version)); err != nil {
		return err
	}
	if format != manifestFormat {
		return fmt.Errorf("format is %.40q, not %q", format, manifestFormat)
	}
	if version != formatVersion {
		return failure.New(failure.Unsupported, "read manifest",
			fmt.Sprintf("the manifest has format version %d; this program knows version %d", version, formatVersion),
			"Use the version of DataGuardian that made the backup, or a newer one.")
	}
	return nil
}

func (p *manifestParser) field(name string, header map[string]json.RawMessage) error {
	switch name {
	case "streams":
		return p.array(maxStreams, p.stream)
	case "objects":
		return p.array(maxObjects, p.object)
	case "mac":
		var text string
		err := p.decoder.Decode(&text)
		if err == nil {
			p.manifest.mac, err = parseHash(text)
		}
		return err
	default:
		var raw json.RawMessage
		err := p.decoder.Decode(&raw)
		header[name] = raw
		return err
	}
}

// array decodes elements one by one.
func (p *manifestParser) array(most int, element func() error) error {
	if err := p.expect('['); err != nil {
		return err
	}
	for count := 0; p.decoder.More(); count++ {
		if count == most {
			return fmt.Errorf("has more than %d elements", most)
		}
		if err := element(); err != nil {
			return fmt.Errorf("element %d: %w", count, err)
		}
	}
	return p.expect(']')
}

func (p *manifestParser) stream() error {
	var document streamDocument
	if err := p.decoder.Decode(&document); err != nil {
		return err
	}
	if len(document.Chunks) > maxStreamChunks {
		return fmt.Errorf("has more than %d chunks", maxStreamChunks)
	}
	if len(document.SealedProperties) > 0 && len(document.Properties) > 0 {
		return errors.New("its properties are there twice, sealed and in clear")
	}
	p.manifest.Streams = append(p.manifest.Streams, Stream{
		StreamMeta: document.StreamMeta, Bytes: document.Bytes, Chunks: document.Chunks, sealed: document.SealedProperties,
	})
	return nil
}

func (p *manifestParser) object() error {
	var row []json.RawMessage
	if err := p.decoder.Decode(&row); err != nil {
		return err
	}
	if len(row) != 5 {
		return fmt.Errorf("has %d values instead of directory, path, plain bytes, stored bytes and SHA-256", len(row))
	}
	var o Object
	var path, checksum string
	for i, target := range []any{&o.directory, &path, &o.PlainBytes, &o.StoredBytes, &checksum} {
		if bytes.Equal(row[i], []byte("null")) {
			return errors.New("has a null")
		}
		if err := json.Unmarshal(row[i], target); err != nil {
			return err
		}
	}
	var err error
	if o.ID, o.encoding, err = parseChunkPath(path); err != nil {
		return err
	}
	if o.Checksum, err = parseHash(checksum); err != nil {
		return err
	}
	p.manifest.Objects = append(p.manifest.Objects, o)
	return nil
}

// setHeader decodes the fields that are small.
func (p *manifestParser) setHeader(fields map[string]json.RawMessage) error {
	text, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	var document headerDocument
	if err := json.Unmarshal(text, &document); err != nil {
		return err
	}
	if document.Chunking.Algorithm != chunkerAlgorithm {
		return fmt.Errorf("chunking algorithm %.40q is not %s", document.Chunking.Algorithm, chunkerAlgorithm)
	}
	m := p.manifest
	document.StartedAt, document.FinishedAt = document.StartedAt.UTC(), document.FinishedAt.UTC()
	m.Header, m.Generation, m.Params = document.Header, document.Generation, document.Chunking.Params
	m.Compression, m.CompressionLevel = document.Compression, document.CompressionLevel
	m.Recipients, m.secret, m.directories = document.Recipients, document.ChunkSecret, document.Directories
	if document.Parent != nil {
		m.Parent = *document.Parent
	}
	return nil
}
