package bare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/local"
)

// ReadCommand is the first argument that makes the benchmark's own program the archive's reader.
const ReadCommand = "bare-read"

// ReadMain writes the streams of a backup to out. arguments are the storage directory, the age
// identity file and the backup's execution id.
func ReadMain(ctx context.Context, arguments []string, out io.Writer) error {
	if len(arguments) != 3 {
		return errors.New("bench: " + ReadCommand + " wants storage directory, identity file and execution id")
	}
	file, err := os.Open(arguments[1])
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = file.Close() }()
	identities, err := age.ParseIdentities(file)
	if err != nil {
		return errors.New("bench: the identity file is not one") // the error would quote it
	}
	store, err := local.Open(ctx, local.Options{Root: arguments[0]})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	found, err := filepath.Glob(filepath.Join(arguments[0], "*", "backups", "*-"+domain.ID8(arguments[2])+"*", "manifest*.json"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("bench: backup %s has %d manifests", arguments[2], len(found))
	}
	key, err := filepath.Rel(arguments[0], found[0])
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	manifest, err := archive.OpenManifest(ctx, store, filepath.ToSlash(key), "")
	if err != nil {
		return err
	}
	reader, err := archive.NewReader(store, manifest, identities, archive.ReaderOptions{})
	if err != nil {
		return err
	}
	for _, stream := range manifest.Streams {
		if err := copyStream(ctx, reader, stream.Name, out); err != nil {
			return err
		}
	}
	return nil
}

func copyStream(ctx context.Context, reader *archive.Reader, name string, out io.Writer) (err error) {
	stream, err := reader.OpenStream(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	_, err = io.Copy(out, stream)
	return err
}
