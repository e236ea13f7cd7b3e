package activities

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// zipFolder streams a folder as a zip whose entries are stored as they are: chunks are compressed
// already. The sizes and checksums follow each entry's bytes (zip64 where they need it), so no object
// is read twice or held.
type zipFolder struct {
	store   storage.Store
	folder  string
	objects []storage.Object
}

// zipBuffer is what the bytes pass through.
const zipBuffer = 256 << 10

// write sends the whole folder as it was listed, or fails: an object that has gone, or is not as long
// as it was, is an error.
func (z zipFolder) write(ctx context.Context, w io.Writer) error {
	out := zip.NewWriter(w)
	buffer := make([]byte, zipBuffer)
	for _, o := range z.objects {
		if err := z.add(ctx, out, o, buffer); err != nil {
			return err
		}
	}
	return out.Close()
}

func (z zipFolder) add(ctx context.Context, out *zip.Writer, o storage.Object, buffer []byte) (err error) {
	body, err := z.store.Get(ctx, o.Key, 0, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	// A backslash leads somewhere on Windows.
	name := strings.ReplaceAll(strings.TrimPrefix(o.Key, z.folder+"/"), `\`, "_")
	entry, err := out.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Modified: o.ModTime})
	if err != nil {
		return failure.Wrap(failure.Unsupported, "add "+o.Key+" to the zip", err, "")
	}
	// Without the types behind the interfaces, which would copy through buffers of their own.
	n, err := io.CopyBuffer(struct{ io.Writer }{entry}, struct{ io.Reader }{body}, buffer)
	if err == nil && n != o.Size {
		err = failure.New(failure.Unknown, "read "+o.Key, fmt.Sprintf("it has %d bytes now, it had %d when the folder was listed", n, o.Size), "Try again.")
	}
	return err
}
