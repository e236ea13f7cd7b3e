package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/open"
)

// Location is a storage location as an operator gives it: what the API calls type and config.
type Location struct {
	Type   domain.StorageLocationType `json:"type"`
	Config domain.StorageConfig       `json:"config"`
}

const (
	readLocation = "read the storage location"
	locationHint = `Give --storage local:/path, or --storage-config with a file like {"type": "local", "config": {"path": "/mnt/backups"}}.`
	maxConfig    = 1 << 20
)

// ParseLocation reads the short form type:path, which only a location without a secret has; a
// relative path is below the working directory. Errors: ConfigInvalid.
func ParseLocation(text string) (Location, error) {
	kind, path, found := strings.Cut(text, ":")
	if !found || kind != string(domain.StorageLocal) || path == "" {
		return Location{}, failure.New(failure.ConfigInvalid, readLocation, "it is not local: and a path", locationHint)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return Location{}, failure.Wrap(failure.ConfigInvalid, readLocation, err, locationHint)
	}
	return Location{Type: domain.StorageLocal, Config: domain.StorageConfig{Path: absolute}}, nil
}

// ReadLocation reads a location's JSON document, as the recovery kit prints it. Errors:
// ConfigInvalid, which never quotes the document: it may hold secrets.
func ReadLocation(r io.Reader) (Location, error) {
	var l Location
	decoder := json.NewDecoder(io.LimitReader(r, maxConfig))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&l); err != nil {
		return l, failure.New(failure.ConfigInvalid, readLocation, "its document can not be read: "+jsonProblem(err), locationHint)
	}
	return l, nil
}

// jsonProblem says what is wrong with a document without quoting what is in it.
func jsonProblem(err error) string {
	var syntax *json.SyntaxError
	var field *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("it is no JSON from byte %d on", syntax.Offset)
	case errors.As(err, &field):
		return fmt.Sprintf("field %s has the wrong type", field.Field)
	case strings.HasPrefix(err.Error(), "json: unknown field "): // names the field, not its value
		return strings.TrimPrefix(err.Error(), "json: ")
	default:
		return "it is not whole"
	}
}

// Open opens the location to read from it: unlike a backup's, its directory is never made. The
// caller closes the store.
func (l Location) Open(ctx context.Context) (storage.Store, error) {
	l.Config.Normalize(l.Type)
	if err := l.Config.Validate(l.Type).OrNil(); err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, readLocation, err, locationHint)
	}
	if l.Type == domain.StorageLocal {
		if _, err := os.Stat(l.Config.Path); errors.Is(err, fs.ErrNotExist) {
			return nil, failure.New(failure.NotFound, "open the storage location", "there is no directory "+l.Config.Path,
				"Mount the disk that holds the backups, or give the path at which it is mounted here.")
		}
	}
	// Nothing is stored by a recovery, so a quota is not measured.
	l.Config.MaxSizeGB = 0
	return open.OpenToRead(ctx, l.Type, l.Config)
}
