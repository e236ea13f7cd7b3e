// Package archive is the on-storage format: it cuts streams into content-defined chunks, stores
// each chunk as one compressed and encrypted object, and writes a manifest that names them all.
// docs/format.md specifies the format; everything in it can be read with age, zstd and jq.
//
// Writer makes a backup, Reader reads its streams back, CheckObjects and CheckBytes verify it.
package archive

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// ChunkID names a chunk by its content: BLAKE3-256 of the plaintext, keyed from the generation's
// secret, so that the storage can not test guesses of the content.
type ChunkID [32]byte

// String is the id in hexadecimal, as in object names.
func (id ChunkID) String() string { return hex.EncodeToString(id[:]) }

// StoredChunk is a chunk that is an object.
type StoredChunk struct {
	Folder      string // of chunks/ that holds the object, see FolderOf; not set in a Manifest
	ID          ChunkID
	PlainBytes  int64    // length of the plaintext
	StoredBytes int64    // length of the object
	Checksum    [32]byte // SHA-256 of the object
}

// Params are the chunk sizes in bytes. Average is a power of two; the last chunk of a stream may
// be shorter than Min.
type Params struct {
	Average int `json:"average"`
	Min     int `json:"min"`
	Max     int `json:"max"`
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
	tib = 1 << 40

	// maxChunk bounds Params.Max and with it what a manifest can make a reader allocate.
	maxChunk = 64 * mib
)

// ParamsFor chooses the sizes for a datasource of about so many bytes: larger chunks for larger
// ones, so that a backup stays within some hundred thousand objects. The longest chunk is twice the
// average: FastCDC's second mask cuts so eagerly behind the average that fewer than 2 in 100
// chunks reach it, and memory is planned for the longest one. The shortest is half of it, as
// restic's: the chunker skips that far without looking.
func ParamsFor(estimatedBytes int64) Params {
	average := 16 * mib
	switch {
	case estimatedBytes <= 64*gib:
		average = 1 * mib
	case estimatedBytes <= 1*tib:
		average = 4 * mib
	}
	return Params{Average: average, Min: average / 2, Max: average * 2}
}

// Current reports whether ParamsFor gives these sizes for some datasource. A generation with others
// was opened by a version that chose differently.
func (p Params) Current() bool {
	return p == ParamsFor(0) || p == ParamsFor(1*tib) || p == ParamsFor(2*tib)
}

// check refuses sizes that FastCDC does not take or that would need too much memory.
func (p Params) check() error {
	switch {
	case p.Average < kib || bits.OnesCount(uint(p.Average)) != 1:
		return fmt.Errorf("average chunk size %d is not a power of two of at least 1024", p.Average)
	case p.Min < 64 || p.Min >= p.Average:
		return fmt.Errorf("smallest chunk size %d is not between 64 and the average %d", p.Min, p.Average)
	case p.Max <= p.Average || p.Max > maxChunk:
		return fmt.Errorf("longest chunk size %d is not between the average %d and %d", p.Max, p.Average, maxChunk)
	}
	return nil
}

// StreamMeta names a stream, what reads it, and what a restore needs beside the bytes.
type StreamMeta struct {
	Name       string            `json:"name"`
	Format     string            `json:"format"`
	Properties map[string]string `json:"properties,omitempty"`
}

// Header is what a manifest says about the backup beside its data. Times are stored in UTC.
type Header struct {
	ExecutionID    string                `json:"execution_id"`
	DatasourceID   string                `json:"datasource_id"`
	DatasourceName string                `json:"datasource_name"`
	DatasourceType domain.DatasourceType `json:"datasource_type"`
	BackupType     domain.BackupType     `json:"backup_type"`
	ServerVersion  string                `json:"server_version,omitempty"`
	ToolVersions   map[string]string     `json:"tool_versions,omitempty"`
	Options        domain.BackupOptions  `json:"options"`
	Warnings       []string              `json:"warnings,omitempty"`
	StartedAt      time.Time             `json:"started_at"`
	FinishedAt     time.Time             `json:"finished_at"`
}

// Progress is told how far a check has come: objects looked at and their stored bytes.
type Progress func(objects, bytes int64)

// wrap says what was tried, and keeps the class that err has: also that of an ended context.
func wrap(op string, err error) error {
	return failure.Wrap(failure.ClassOf(err), op, err, "")
}
