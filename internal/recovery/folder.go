package recovery

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const restoreFolder = "restore into a folder"

// restoreToFolder writes every stream as a file of its own. The folder appears when all of them are
// whole, or not at all; one that holds anything is refused.
func (r *Recovery) restoreToFolder(ctx context.Context, b Backup, path, token string) error {
	if err := checkFolder(path); err != nil {
		return err
	}
	reader, err := archive.NewReader(r.Store, b.Manifest, r.Identities, archive.ReaderOptions{})
	if err != nil {
		return err
	}
	staging := filepath.Join(filepath.Dir(path), ".dataguardian-recover-"+token)
	if err := os.Mkdir(staging, 0o700); err != nil {
		return failure.Wrap(failure.ConfigInvalid, restoreFolder, err, "Give a folder in a directory that exists and that this user may write to.")
	}
	defer func() { _ = os.RemoveAll(staging) }() // gone already when all went well
	for _, s := range b.Manifest.Streams {
		file := filepath.Join(staging, fileName(s.Name))
		if err := writeFile(ctx, reader, s.Name, file); err != nil {
			return err
		}
		r.say("wrote %s (%s, %d bytes)", filepath.Base(file), s.Format, s.Bytes)
	}
	if err := syncDir(staging); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // an empty folder
		return failure.Wrap(failure.ConfigInvalid, restoreFolder, err, "")
	}
	if err := os.Rename(staging, path); err != nil {
		return failure.Wrap(failure.ConfigInvalid, restoreFolder, err, "")
	}
	return syncDir(filepath.Dir(path))
}

func writeFile(ctx context.Context, reader *archive.Reader, stream, path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return failure.Wrap(failure.ConfigInvalid, restoreFolder, err, "")
	}
	_, err = copyStream(ctx, reader, stream, file)
	return failure.Wrap(failure.Unknown, restoreFolder, errors.Join(err, file.Sync(), file.Close()), "")
}

func checkFolder(path string) error {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return failure.Wrap(failure.ConfigInvalid, restoreFolder, err, "Give a folder that does not exist yet.")
	case len(entries) > 0:
		return failure.New(failure.ConfigInvalid, restoreFolder, path+" is not empty", "Give a folder that does not exist yet, or an empty one.")
	}
	return nil
}

// maxFileName is what common file systems take, in bytes, with room for a suffix.
const maxFileName = 240

// fileName makes a file's name of a stream's, which may hold anything printable: what is not safe is
// percent-encoded.
func fileName(stream string) string {
	name := url.PathEscape(stream)
	if len(name) > maxFileName {
		name = fmt.Sprintf("%s-%s", name[:maxFileName-17], hex.EncodeToString(hashOf(stream))[:16])
	}
	if name[0] == '.' {
		name = "%2E" + name[1:]
	}
	return name
}
