package archive

import (
	"regexp"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Place says what an object of a repository is, by its key alone: a manifest or a chunk.
type Place struct {
	Dir string // the datasource's directory

	Created   time.Time // manifest: the second in which its execution was created
	Execution string    // manifest: the id8 of its execution

	Folder string  // chunk: the folder of chunks/ it is in
	Chunk  ChunkID // chunk
}

// IsManifest tells a manifest from a chunk.
func (p Place) IsManifest() bool { return p.Execution != "" }

// Datasource is the id8 of the datasource, "" if the directory does not end in one.
func (p Place) Datasource() string {
	if found := directoryEnd.FindStringSubmatch(p.Dir); found != nil {
		return found[1]
	}
	return ""
}

var (
	chunkShape   = regexp.MustCompile(`^([a-z0-9-]{1,64})/chunks/([A-Za-z0-9-]{1,64})/(.+)$`)
	directoryEnd = regexp.MustCompile(`(?:^|-)([0-9a-f]{8})$`)
)

// Locate reads a key. Whatever is not exactly a key that a Writer makes is not ours: ok is false.
func Locate(key string) (p Place, ok bool) {
	if name, ok := ParseManifestKey(key); ok {
		return Place{Dir: name.DatasourceDir, Created: name.Created, Execution: name.ExecutionID8}, true
	}
	parts := chunkShape.FindStringSubmatch(key)
	if parts == nil {
		return Place{}, false
	}
	id, _, err := parseChunkPath(parts[3])
	return Place{Dir: parts[1], Folder: parts[2], Chunk: id}, err == nil
}

// ObjectKey is the key of a chunk's object: in this folder of a datasource's directory, stored the way
// that a backup with this compression and encryption stores.
func ObjectKey(datasourceDir, folder string, id ChunkID, compression domain.Compression, encrypted bool) string {
	return datasourceDir + "/chunks/" + folder + "/" + chunkPath(id, encoding{compression: compression, encrypted: encrypted})
}
