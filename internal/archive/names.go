package archive

import (
	"context"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// DatasourceDir is the directory of a datasource in a storage location: a readable name and enough
// of the id to be its own.
func DatasourceDir(name, id string) string { return domain.Slug(name) + "-" + domain.ID8(id) }

// ManifestKey is the object key of the manifest that one attempt (from 1) of an execution writes.
func ManifestKey(datasourceDir string, started time.Time, executionID string, attempt int32) string {
	return ManifestPrefix(datasourceDir, started, executionID) + attemptSuffix(attempt) + "/manifest.json"
}

// ManifestPrefix begins the keys of the manifests of every attempt of an execution.
func ManifestPrefix(datasourceDir string, started time.Time, executionID string) string {
	return fmt.Sprintf("%s/backups/%s-%s", datasourceDir, started.UTC().Format("2006-01-02_150405"), domain.ID8(executionID))
}

// ManifestName is what the key of a manifest says.
type ManifestName struct {
	Key           string
	DatasourceDir string
	DatasourceID8 string    // end of the datasource's id, which stays when its name changes
	Created       time.Time // whole seconds, UTC
	ExecutionID8  string
	Attempt       int // of the dump, from 1
}

var manifestShape = regexp.MustCompile(`^([a-z0-9-]{1,55}-([0-9a-f]{8}))/backups/(\d{4}-\d{2}-\d{2}_\d{6})-([0-9a-f]{8})(?:-([1-9]\d{0,8}))?/manifest\.json$`)

// ParseManifestKey is the inverse of ManifestKey; false for the key of anything else.
func ParseManifestKey(key string) (ManifestName, bool) {
	parts := manifestShape.FindStringSubmatch(key)
	if parts == nil {
		return ManifestName{}, false
	}
	created, err := time.Parse("2006-01-02_150405", parts[3])
	if err != nil {
		return ManifestName{}, false
	}
	attempt := 1
	if parts[5] != "" {
		if attempt, err = strconv.Atoi(parts[5]); err != nil {
			return ManifestName{}, false
		}
	}
	return ManifestName{
		Key: key, DatasourceDir: parts[1], DatasourceID8: parts[2], Created: created, ExecutionID8: parts[4], Attempt: attempt,
	}, true
}

// ListManifests lists what is named like a manifest on a storage location, in the order of the keys.
// It passes over every object there is, and reads none.
func ListManifests(ctx context.Context, store storage.Store) ([]ManifestName, error) {
	var names []ManifestName
	err := store.List(ctx, "", func(o storage.Object) error {
		if name, ok := ParseManifestKey(o.Key); ok {
			names = append(names, name)
		}
		return nil
	})
	return names, wrap("list the backups", err)
}

// FolderOf names the folder below chunks/ into which one attempt (from 1) of an execution's dump
// stores. The full that opened the generation has the generation's own; a backup that builds on it
// has one more, named by itself; each later attempt has one of its own besides. Encryption makes
// other bytes of the same chunk each time: what one backup has recorded, no other one and no
// attempt that was given up, but is still alive and writing, may ever be able to replace.
func FolderOf(generation, executionID string, attempt int32) string {
	folder := generation
	if own := domain.ID8(executionID); own != generation {
		folder += "-" + own
	}
	return folder + attemptSuffix(attempt)
}

// OwnFolder reports whether folder is one that FolderOf gives for some attempt of this execution.
// Beginning alike is not enough: the folders of all backups of a generation begin with its name.
func OwnFolder(folder, generation, executionID string) bool {
	rest, found := strings.CutPrefix(folder, FolderOf(generation, executionID, 1))
	return found && (rest == "" || attemptShape.MatchString(rest))
}

// attemptSuffix is what the names of an attempt end in, "" for the first one.
func attemptSuffix(attempt int32) string {
	if attempt <= 1 {
		return ""
	}
	return fmt.Sprintf("-%d", attempt)
}

// ChunkDir is the directory of a folder of chunks, see FolderOf.
func ChunkDir(datasourceDir, folder string) string { return datasourceDir + "/chunks/" + folder }

// FolderIn is the folder of chunks that holds the object with this key, "" for a key that is not
// below the chunks of the datasource.
func FolderIn(datasourceDir, key string) string {
	rest, found := strings.CutPrefix(key, datasourceDir+"/chunks/")
	folder, _, inside := strings.Cut(rest, "/")
	if !found || !inside {
		return ""
	}
	return folder
}

// encoding is how an object holds its chunk. The suffix of its name says it.
type encoding struct {
	compression domain.Compression
	encrypted   bool
}

// compressions maps the algorithms to the suffixes of their command-line tools.
var compressions = map[domain.Compression]string{
	domain.CompressionZstd: ".zst",
	domain.CompressionGzip: ".gz",
	domain.CompressionLZ4:  ".lz4",
	domain.CompressionNone: "",
}

func (e encoding) suffix() string {
	suffix := compressions[e.compression]
	if e.encrypted {
		suffix += ".age"
	}
	return suffix
}

// chunkPath is the name of a chunk's object below its generation's directory.
func chunkPath(id ChunkID, e encoding) string {
	name := id.String()
	return name[:2] + "/" + name + e.suffix()
}

var (
	pathShape      = regexp.MustCompile(`^([0-9a-f]{2})/([0-9a-f]{64})(\.zst|\.gz|\.lz4|)(\.age|)$`)
	directoryShape = regexp.MustCompile(`^[a-z0-9-]{1,64}/chunks/[A-Za-z0-9-]{1,64}$`)
	elementShape   = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	// Shorter than the 8 digits of an execution, so that the two are never taken for each other.
	attemptShape   = regexp.MustCompile(`^-[1-9][0-9]{0,6}$`)
	generationName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
)

// parseChunkPath is the inverse of chunkPath. Nothing but what chunkPath makes is accepted, so that
// a path in a manifest can not name anything but a chunk.
func parseChunkPath(path string) (id ChunkID, e encoding, err error) {
	parts := pathShape.FindStringSubmatch(path)
	if parts == nil || !strings.HasPrefix(parts[2], parts[1]) {
		return id, e, fmt.Errorf("path %.120q is not that of a chunk", path)
	}
	if _, err := hex.Decode(id[:], []byte(parts[2])); err != nil {
		return id, e, err
	}
	for compression, suffix := range compressions {
		if suffix == parts[3] {
			e.compression = compression
		}
	}
	e.encrypted = parts[4] != ""
	return id, e, nil
}
