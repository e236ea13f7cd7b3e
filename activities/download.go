package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// stored is a backup that is read back without a restore: decrypted, and checked chunk by chunk.
type stored struct {
	*backup
	manifest *archive.Manifest
	reader   *archive.Reader
}

// openStored opens a copy of a backup. close must be called. Errors name the storage location; a manifest that is
// gone is failure.Corrupt: the catalogue has the backup.
func (a *Activities) openStored(ctx context.Context, in contract.BackupCopy) (*stored, error) {
	job, err := a.loadCopy(ctx, in.ExecutionID, &in.StorageLocationID)
	if err != nil {
		return nil, err
	}
	s := &stored{backup: job}
	if err := a.readStored(ctx, s, in.Pool); err != nil {
		job.close()
		return nil, failure.WithSubject(err, aboutStorage(job.storage.Name))
	}
	return s, nil
}

func (a *Activities) readStored(ctx context.Context, s *stored, pool string) (err error) {
	const op = "open the backup"
	if s.storage.Pool != pool {
		return failure.New(failure.ConfigInvalid, op, "its storage location has moved to pool "+s.storage.Pool, "Try again.")
	}
	s.manifest, err = a.openManifest(ctx, s.backup)
	if failure.ClassOf(err) == failure.NotFound && !errors.Is(err, db.ErrDeleting) {
		return &failure.Error{Class: failure.Corrupt, Op: op, Cause: err, Hint: "Use another copy, or another backup."}
	}
	if err != nil {
		return err
	}
	identities, err := a.identities(ctx)
	if err != nil {
		return err
	}
	s.reader, err = archive.NewReader(s.store, s.manifest, identities, archive.ReaderOptions{})
	return err
}

// The formats of streams that a download knows of; docs/format.md says what they are.
const (
	formatIndex  = "files-index-1"         // beside the tar that any tar extracts: no part of the plain dump
	formatBundle = "pg_dump-directory-tar" // files that pg_restore wants to see one by one
)

// extensions are what people's programs know the formats by. The names of other streams have one.
var extensions = map[string]string{
	"pg_dump-custom": ".dump", "mysqldump": ".sql", "mongodump-archive": ".archive", "sqlite3-file": ".sqlite", "sqlserver-backup": ".bak",
	"files-tar": ".tar", "referenced-files-tar": ".tar",
}

// openDump opens the plain dump of a backup: its only stream, the one that was asked for, or all in a tar.
func (a *Activities) openDump(ctx context.Context, body json.RawMessage) (dataport.Content, error) {
	var in contract.BackupDump
	if err := json.Unmarshal(body, &in); err != nil {
		return dataport.Content{}, failure.Wrap(failure.Unsupported, "read what to transfer", err, "")
	}
	s, err := a.openStored(ctx, in.BackupCopy)
	if err != nil {
		return dataport.Content{}, err
	}
	content, err := s.dump(in.Stream)
	if err != nil {
		s.close()
		return dataport.Content{}, err
	}
	content.Close = func() error { s.close(); return nil }
	return content, nil
}

func (s *stored) dump(wanted string) (dataport.Content, error) {
	streams := s.manifest.Streams
	if wanted == "" {
		plain := slices.DeleteFunc(slices.Clone(streams), func(s archive.Stream) bool { return s.Format == formatIndex })
		if len(plain) != 1 {
			all := dumpTar{open: s.reader.OpenStream, streams: plain, finished: s.manifest.FinishedAt}
			return dataport.Content{Name: s.fileName(".tar"), Type: "application/x-tar", Write: all.write}, nil
		}
		return s.stream(plain[0]), nil
	}
	at := slices.IndexFunc(streams, func(s archive.Stream) bool { return s.Name == wanted })
	if at < 0 {
		return dataport.Content{}, failure.New(failure.NotFound, "open the backup", fmt.Sprintf("it has no stream %.80q", wanted), "Its streams are: "+streamNames(streams)+".")
	}
	return s.stream(streams[at]), nil
}

// stream is a content that can be read in parts: each chunk that a part touches is checked.
func (s *stored) stream(of archive.Stream) dataport.Content {
	sum := s.execution.Metadata.ManifestSHA256
	return dataport.Content{
		Name: s.fileName("-" + slug(of.Name) + extensions[of.Format]), Type: "application/octet-stream", Size: of.Bytes, Modified: s.manifest.FinishedAt,
		ETag: fmt.Sprintf(`"%s-%s"`, sum[:min(32, len(sum))], slug(of.Name)),
		Open: func(ctx context.Context, offset, _ int64) (io.ReadCloser, error) {
			return s.reader.OpenStreamAt(ctx, of.Name, offset)
		},
	}
}

// fileName is what a download is saved as.
func (s *stored) fileName(end string) string {
	return fmt.Sprintf("%s-%s%s", domain.Slug(s.datasource.Name), s.execution.CreatedAt.UTC().Format("2006-01-02_150405"), end)
}

// slug is a stream's name as a part of a file's name.
func slug(stream string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
			return r
		}
		return '_'
	}, stream)
}

// streamNames lists the first streams, for people.
func streamNames(streams []archive.Stream) string {
	const most = 20
	var names []string
	for _, s := range streams[:min(most, len(streams))] {
		names = append(names, s.Name)
	}
	if len(streams) > most {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}
