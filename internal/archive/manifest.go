package archive

import (
	"path"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Manifest is everything a restore needs to know about a backup. It is immutable once it was read
// or committed, but for the properties of its streams, which Unseal fills in.
type Manifest struct {
	Header
	Generation       string
	Parent           string // execution id of the backup this one builds on, "" for a full one
	Params           Params
	Compression      domain.Compression
	CompressionLevel int
	Recipients       []string // age recipients of the objects, empty when they are not encrypted
	Streams          []Stream
	Objects          []Object // each once, in the order of first use

	secret      sealedSecret
	directories []string
	bodyHash    [32]byte // SHA-256 of the document before its MAC
	mac         [32]byte
}

// Stream is one stored stream: its chunks in order, as indices into Manifest.Objects. The properties
// of an encrypted backup that was read are empty before Unseal.
type Stream struct {
	StreamMeta
	Bytes  int64
	Chunks []uint32

	sealed []byte // age file of the properties, nil if they are not encrypted
}

// Object is one stored chunk.
type Object struct {
	StoredChunk
	encoding  encoding
	directory uint16 // index into Manifest.directories
}

// sealedSecret holds the generation's secret: an age file for the backup's recipients, or the
// secret itself when the backup is not encrypted.
type sealedSecret struct {
	Age []byte `json:"age,omitempty"` // base64 in JSON
	Hex string `json:"hex,omitempty"`
}

// Encrypted reports whether an identity is needed to read the backup.
func (m *Manifest) Encrypted() bool { return len(m.Recipients) > 0 }

// PlainBytes is the size of all streams together.
func (m *Manifest) PlainBytes() int64 {
	var total int64
	for _, s := range m.Streams {
		total += s.Bytes
	}
	return total
}

// StoredBytes is the size of all objects together, without the manifest.
func (m *Manifest) StoredBytes() int64 {
	var total int64
	for _, o := range m.Objects {
		total += o.StoredBytes
	}
	return total
}

// ObjectKey is the key in the store of Objects[i].
func (m *Manifest) ObjectKey(i int) string {
	o := m.Objects[i]
	return m.directories[o.directory] + "/" + chunkPath(o.ID, o.encoding)
}

// Folder is the folder of chunks/ that holds Objects[i], see FolderOf.
func (m *Manifest) Folder(i int) string { return path.Base(m.directories[m.Objects[i].directory]) }

// stream finds a stream by its name.
func (m *Manifest) stream(name string) (Stream, bool) {
	i := slices.IndexFunc(m.Streams, func(s Stream) bool { return s.Name == name })
	if i < 0 {
		return Stream{}, false
	}
	return m.Streams[i], true
}

const (
	manifestFormat   = "dataguardian-manifest"
	chunkerAlgorithm = "fastcdc-v1.0.0"
)

// headerDocument is the manifest's JSON without streams, objects and MAC.
type headerDocument struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Header
	Generation       string             `json:"generation"`
	Parent           *string            `json:"parent"`
	Chunking         chunkingDocument   `json:"chunking"`
	Compression      domain.Compression `json:"compression"`
	CompressionLevel int                `json:"compression_level"`
	Recipients       []string           `json:"recipients"`
	ChunkSecret      sealedSecret       `json:"chunk_secret"`
	Directories      []string           `json:"directories"`
}

type chunkingDocument struct {
	Algorithm string `json:"algorithm"`
	Params
}

// streamDocument is a stream's JSON; its chunks follow as one array of numbers. It has properties
// or sealed properties, never both.
type streamDocument struct {
	StreamMeta
	SealedProperties []byte   `json:"sealed_properties,omitempty"` // base64 in JSON
	Bytes            int64    `json:"bytes"`
	Chunks           []uint32 `json:"chunks,omitempty"`
}

func (s Stream) document() streamDocument {
	document := streamDocument{StreamMeta: s.StreamMeta, SealedProperties: s.sealed, Bytes: s.Bytes}
	if s.sealed != nil {
		document.Properties = nil
	}
	return document
}

func (m *Manifest) headerDocument() headerDocument {
	header := m.Header
	header.StartedAt, header.FinishedAt = wholeMillis(header.StartedAt), wholeMillis(header.FinishedAt)
	document := headerDocument{
		Format: manifestFormat, Version: formatVersion, Header: header, Generation: m.Generation,
		Chunking:    chunkingDocument{Algorithm: chunkerAlgorithm, Params: m.Params},
		Compression: m.Compression, CompressionLevel: m.CompressionLevel,
		Recipients: append([]string{}, m.Recipients...), ChunkSecret: m.secret,
		Directories: append([]string{}, m.directories...),
	}
	if m.Parent != "" {
		document.Parent = &m.Parent
	}
	return document
}

func wholeMillis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
