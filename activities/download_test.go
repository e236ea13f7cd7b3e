package activities_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// dumpOf opens the plain dump of a backup, or one stream of it.
func (s *site) dumpOf(e db.Execution, stream string) (dataport.Content, error) {
	s.t.Helper()
	body, err := json.Marshal(contract.BackupDump{Stream: stream, BackupCopy: contract.BackupCopy{
		ExecutionID: e.ID, StorageLocationID: *e.StorageLocationID, Pool: "default",
	}})
	require.NoError(s.t, err)
	return s.acts().TransferSources()[contract.TransferBackup](s.t.Context(), body)
}

func (s *site) reads(content dataport.Content, offset int64) ([]byte, error) {
	s.t.Helper()
	r, err := content.Open(s.t.Context(), offset, -1)
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, r.Close()) }()
	return io.ReadAll(r)
}

func TestThePlainDumpOfAnEncryptedBackupIsReadInParts(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 5<<20)
	e := s.backup(kind("full"))
	require.True(t, s.requireGood(e).Encrypted())
	content, err := s.dumpOf(e, "")
	require.NoError(t, err)
	defer func() { require.NoError(t, content.Close()) }()
	require.Equal(t, int64(5<<20), content.Size)
	require.True(t, strings.HasPrefix(content.Name, "orders-"), content.Name)
	require.NotEmpty(t, content.ETag)
	for _, offset := range []int64{0, 1, 3<<20 + 17, 5 << 20} {
		got, err := s.reads(content, offset)
		require.NoError(t, err)
		require.True(t, bytes.Equal(s.source.content()[offset:], got), offset)
	}
	same, err := s.dumpOf(e, "main")
	require.NoError(t, err)
	require.NoError(t, same.Close())
	require.Equal(t, content.ETag, same.ETag)
	_, err = s.dumpOf(e, "other")
	require.Equal(t, failure.NotFound, failure.ClassOf(err))
	require.Contains(t, failure.HintOf(err), "main")
}

func TestADamagedChunkEndsADownloadInAnError(t *testing.T) {
	s := newSite(t)
	s.source.fill(2, 8<<20)
	e := s.backup(kind("full"))
	m := s.requireGood(e)
	require.Greater(t, len(m.Objects), 2)
	broken := m.ObjectKey(len(m.Objects) - 1)
	s.put("/disk", broken, "not what was stored")
	content, err := s.dumpOf(e, "")
	require.NoError(t, err)
	got, err := s.reads(content, 0)
	require.Equal(t, failure.Corrupt, failure.ClassOf(err))
	require.ErrorContains(t, err, broken)
	require.Less(t, len(got), 8<<20)
	require.True(t, bytes.Equal(s.source.content()[:len(got)], got), "what came was checked")
	require.NoError(t, content.Close())

	s.disks["/disk"].lose(t, func(key string) bool { return key == e.Metadata.ManifestPath })
	_, err = s.dumpOf(e, "")
	require.Equal(t, failure.Corrupt, failure.ClassOf(err), "a backup whose manifest is gone is no backup that does not exist")
}

// tarOf is a tar of files whose content is their name.
func tarOf(t *testing.T, names ...string) string {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range names {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(name)), Mode: 0o600}))
		_, err := io.WriteString(w, name)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.String()
}

// stream is one that a source dumps.
type stream struct{ name, format, content string }

func TestABackupOfSeveralStreamsIsATarWithoutArchivesInIt(t *testing.T) {
	s := newSite(t)
	s.source.fill(3, 1000)
	s.source.more = []stream{
		{"db/a%2Fb/toc.dat", "pg_dump-directory", "contents"},
		{"db/a%2Fb/small-0001.tar", "pg_dump-directory-tar", tarOf(t, "1.dat", "2.dat")},
		{"files.index", "files-index-1", "an index"},
	}
	e := s.backup(kind("full"))
	require.Equal(t, domain.Completed, e.Status, e.ErrorMessage)
	content, err := s.dumpOf(e, "")
	require.NoError(t, err)
	require.Equal(t, "application/x-tar", content.Type)
	var out bytes.Buffer
	require.NoError(t, content.Write(t.Context(), &out))
	require.NoError(t, content.Close())
	got := map[string]string{}
	for r := tar.NewReader(&out); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		got[header.Name] = string(text)
	}
	require.Equal(t, map[string]string{
		"main": string(s.source.content()), "db/a%2Fb/toc.dat": "contents", "db/a%2Fb/1.dat": "1.dat", "db/a%2Fb/2.dat": "2.dat",
	}, got)

	one, err := s.dumpOf(e, "db/a%2Fb/small-0001.tar")
	require.NoError(t, err)
	whole, err := s.reads(one, 0)
	require.NoError(t, err)
	require.Equal(t, tarOf(t, "1.dat", "2.dat"), string(whole))
	require.NoError(t, one.Close())

	m, err := archive.OpenManifest(context.Background(), s.store, e.Metadata.ManifestPath, "")
	require.NoError(t, err)
	s.put("/disk", m.ObjectKey(len(m.Objects)-2), "damage") // of the last stream in the tar
	content, err = s.dumpOf(e, "")
	require.NoError(t, err)
	out.Reset()
	require.Error(t, content.Write(t.Context(), &out))
	require.NoError(t, content.Close())
	require.False(t, bytes.HasSuffix(out.Bytes(), make([]byte, 1024)), "the tar has no end")
}

func TestOnlyAFilesBackupIsBrowsed(t *testing.T) {
	s := newSite(t)
	s.source.fill(4, 1000)
	e := s.backup(kind("full"))
	ask := func(pool string) error {
		body, err := json.Marshal(contract.BackupFolder{Limit: 5, BackupCopy: contract.BackupCopy{ExecutionID: e.ID, StorageLocationID: *e.StorageLocationID, Pool: pool}})
		require.NoError(t, err)
		_, err = s.acts().TransferSources()[contract.TransferBackupFiles](t.Context(), body)
		return err
	}
	require.Equal(t, failure.Unsupported, failure.ClassOf(ask("default")))
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(ask("site-b")), "the location has moved")
}
