package integration

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// dump downloads a backup; err is of a download that broke off.
func dump(t *testing.T, backup client.Execution, part client.BackupPart, header ...string) (*http.Response, []byte, error) {
	t.Helper()
	headers := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		headers.Set(header[i], header[i+1])
	}
	answer, err := shared.owner.DownloadBackup(t.Context(), backup.ID, part, headers)
	require.NoError(t, err)
	content, err := io.ReadAll(answer.Body)
	require.NoError(t, answer.Body.Close())
	return answer, content, err
}

// pgRestoreLists is what pg_restore --list tells of a dump: a file, or a directory.
func pgRestoreLists(t *testing.T, at string) string {
	t.Helper()
	output, err := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(shared.postgres.BinDir(), "pg_restore"), "--list", at).CombinedOutput()
	require.NoError(t, err, string(output))
	return string(output)
}

func TestPgRestoreReadsADownloadOfAnEncryptedBackup(t *testing.T) {
	s := newSetup(t, withRows(2000), withNoise(2))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	require.True(t, backup.Metadata.Options.Encrypted())
	answer, content, err := dump(t, backup, client.BackupPart{})
	require.NoError(t, err)
	require.Equal(t, int64(len(content)), answer.ContentLength)
	require.Equal(t, backup.SizeBytes, answer.ContentLength)
	require.Contains(t, answer.Header.Get("Content-Disposition"), ".dump")
	file := filepath.Join(t.TempDir(), "x.dump")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	require.Contains(t, pgRestoreLists(t, file), "TABLE DATA")

	part, rest, err := dump(t, backup, client.BackupPart{StorageLocationID: s.storage.ID}, "Range", "bytes=1000-1999", "If-Range", answer.Header.Get("ETag"))
	require.NoError(t, err)
	require.Equal(t, http.StatusPartialContent, part.StatusCode)
	require.True(t, bytes.Equal(content[1000:2000], rest))

	// Whichever chunk is damaged, there is an error: before the first byte, or a connection that breaks.
	broke := 0
	for _, chunk := range s.chunks(t) {
		whole, err := os.ReadFile(chunk) //nolint:gosec // a test's own
		require.NoError(t, err)
		damaged := bytes.Clone(whole)
		damaged[len(damaged)-1] ^= 1
		replaceFile(t, chunk, damaged)
		answer, err := shared.owner.DownloadBackup(t.Context(), backup.ID, client.BackupPart{}, nil)
		if err != nil {
			require.Equal(t, http.StatusBadGateway, client.Status(err), err)
			require.ErrorContains(t, err, "SHA-256")
		} else {
			got, err := io.ReadAll(answer.Body)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.True(t, bytes.Equal(content[:len(got)], got))
			require.NoError(t, answer.Body.Close())
			broke++
		}
		replaceFile(t, chunk, whole)
	}
	require.Positive(t, broke)
}

// replaceFile changes an object behind everybody's back.
func replaceFile(t *testing.T, at string, data []byte) {
	t.Helper()
	require.NoError(t, os.Remove(at))
	require.NoError(t, os.WriteFile(at, data, 0o600)) //nolint:gosec // a test's own
}

func TestADownloadOfADumpBySeveralJobsIsADirectoryForPgRestore(t *testing.T) {
	s := newSetup(t, withRows(2000), withOptions(domain.BackupOptions{ParallelJobs: 2, Verify: domain.VerifyFull}))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	_, content, err := dump(t, backup, client.BackupPart{})
	require.NoError(t, err)
	to := untarred(t, content)
	require.Contains(t, pgRestoreLists(t, to), "TABLE DATA")
	read := exec.CommandContext(t.Context(), filepath.Join(shared.postgres.BinDir(), "pg_restore"), "--file=/dev/null", "--format=directory", to)
	output, err := read.CombinedOutput()
	require.NoError(t, err, string(output))
}

func TestAFilesBackupIsBrowsedAndItsTarExtracted(t *testing.T) {
	s := newFilesSetup(t, domain.ConnectionConfig{})
	backup := s.run(t, domain.Full)
	listed, err := shared.owner.BackupFiles(t.Context(), backup.ID, "data/01/")
	require.NoError(t, err)
	entries, err := os.ReadDir(filepath.Join(s.tree, "data/01"))
	require.NoError(t, err)
	require.Len(t, listed, len(entries))
	for i, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		require.Equal(t, "data/01/"+entry.Name(), listed[i].Path)
		require.Equal(t, info.Size(), *listed[i].Size)
		require.True(t, info.ModTime().Equal(listed[i].ModifiedAt))
	}
	_, err = shared.owner.BackupFiles(t.Context(), backup.ID, "data/none")
	require.Equal(t, http.StatusNotFound, client.Status(err))

	_, content, err := dump(t, backup, client.BackupPart{})
	require.NoError(t, err)
	to := untarred(t, content)
	want, err := os.ReadFile(filepath.Join(s.tree, "data/01/001.bin"))
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(to, "data/01/001.bin"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
}

// untarred extracts a download as somebody without DataGuardian would.
func untarred(t *testing.T, content []byte) (to string) {
	t.Helper()
	to = t.TempDir()
	untar := exec.CommandContext(t.Context(), "tar", "--extract", "--directory", to)
	untar.Stdin = bytes.NewReader(content)
	output, err := untar.CombinedOutput()
	require.NoError(t, err, string(output))
	return to
}
