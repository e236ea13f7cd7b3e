package integration

import (
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	temporal "go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/proto"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/worker"
)

func (s *setup) files(t *testing.T, folder string) map[string]client.StoredFile {
	t.Helper()
	listed, err := shared.owner.ListFiles(t.Context(), s.storage.ID, folder)
	require.NoError(t, err)
	byPath := map[string]client.StoredFile{}
	for _, f := range listed {
		byPath[f.Path] = f
	}
	return byPath
}

func (s *setup) download(t *testing.T, at string, header ...string) (*http.Response, []byte) {
	t.Helper()
	headers := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		headers.Set(header[i], header[i+1])
	}
	answer, err := shared.owner.Download(t.Context(), s.storage.ID, at, headers)
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	content, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, content
}

func (s *setup) onDisk(t *testing.T, at string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.storagePath, at))
	require.NoError(t, err)
	return content
}

func TestTheFilesOfABackupAreSeenDownloadedAndKept(t *testing.T) {
	s := newSetup(t, withRows(2000), withNoise(2))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	manifest := backup.Metadata.ManifestPath
	chunk, err := filepath.Rel(s.storagePath, s.chunks(t)[0])
	require.NoError(t, err)
	dir, _, _ := strings.Cut(manifest, "/")

	root := s.files(t, "")
	require.Equal(t, "folder", root[dir].Type)
	require.Equal(t, "file", root["dataguardian.json"].Type)
	listed := s.files(t, path.Dir(chunk))[chunk]
	require.Equal(t, int64(len(s.onDisk(t, chunk))), *listed.Size)
	require.Contains(t, s.files(t, path.Dir(manifest)), manifest)

	answer, content := s.download(t, manifest)
	require.Equal(t, s.onDisk(t, manifest), content)
	require.Equal(t, int64(len(content)), answer.ContentLength)
	_, content = s.download(t, chunk)
	require.Equal(t, s.onDisk(t, chunk), content)
	part, content := s.download(t, chunk, "Range", "bytes=10-19", "If-Range", answerETag(t, s, chunk))
	require.Equal(t, http.StatusPartialContent, part.StatusCode)
	require.Equal(t, s.onDisk(t, chunk)[10:20], content)

	_, archive := s.download(t, dir)
	unzipped, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	require.NoError(t, err)
	require.Len(t, unzipped.File, len(s.objects(t)))
	for _, f := range unzipped.File {
		r, err := f.Open()
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, s.onDisk(t, dir+"/"+f.Name), got, f.Name)
	}

	for _, needed := range []string{chunk, manifest, dir, "dataguardian.json"} {
		_, err := shared.owner.DeleteFiles(t.Context(), s.storage.ID, needed)
		require.Equal(t, http.StatusConflict, client.Status(err), needed)
		require.ErrorContains(t, err, backup.ID)
	}
	copied, err := shared.owner.CopyFile(t.Context(), s.storage.ID, chunk, "kept/a chunk", false)
	require.NoError(t, err)
	require.Equal(t, int64(1), copied.Objects)
	require.Equal(t, s.onDisk(t, chunk), s.onDisk(t, "kept/a chunk"))
	_, err = shared.owner.CopyFile(t.Context(), s.storage.ID, manifest, "kept/a chunk", false)
	require.Equal(t, http.StatusConflict, client.Status(err))
	_, err = shared.owner.CopyFile(t.Context(), s.storage.ID, manifest, chunk, true)
	require.Equal(t, http.StatusUnprocessableEntity, client.Status(err))
	usage, err := shared.owner.StorageUsage(t.Context(), s.storage.ID)
	require.NoError(t, err)
	require.Positive(t, *usage.UsedBytes)
	require.Equal(t, int64(1), usage.Datasources[0].Backups)
	require.Equal(t, backup.CompressedSizeBytes, usage.Datasources[0].Bytes)
	deleted, err := shared.owner.DeleteFiles(t.Context(), s.storage.ID, "kept")
	require.NoError(t, err)
	require.Equal(t, client.FileChange{Status: "completed", Objects: 1, Bytes: copied.Bytes, WorkflowID: deleted.WorkflowID}, deleted)
	require.NoDirExists(t, filepath.Join(s.storagePath, "kept"))
	replayer := sdk.NewWorkflowReplayer()
	worker.RegisterWorkflows(replayer)
	require.NoError(t, replayer.ReplayWorkflowHistory(nil, historyOf(t, deleted.WorkflowID)))
	for _, bad := range []string{"../x", "/etc/passwd", "a/../../x"} {
		_, err := shared.owner.Download(t.Context(), s.storage.ID, bad, nil)
		require.Equal(t, http.StatusUnprocessableEntity, client.Status(err), bad)
	}
	s.restore(t, backup, restoreTo(s.database+"_again"))
	s.requireSame(t, s.database, s.database+"_again")
}

func answerETag(t *testing.T, s *setup, at string) string {
	t.Helper()
	answer, _ := s.download(t, at, "Range", "bytes=0-0")
	return answer.Header.Get("ETag")
}

func TestTheWorkerOfItsPoolServesADownload(t *testing.T) {
	t.Parallel()
	// Of two pools in one process, each location's files come from the worker of its own; a pool whose
	// worker has no port says so.
	dir := filepath.Join(t.TempDir(), "far")
	storage, err := shared.owner.StorageLocations.Create(t.Context(), client.StorageLocationDocument{
		Name: unique(t), Type: domain.StorageLocal, Pool: "explore-far", Config: domain.StorageConfig{Path: dir},
	})
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	large := bytes.Repeat([]byte("far away "), 4<<20)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "large"), large, 0o600))

	stop, err := shared.startWorker(worker.Options{Pools: []string{"explore-far"}})
	require.NoError(t, err)
	answer, err := shared.owner.Download(t.Context(), storage.ID, "large", nil)
	require.NoError(t, err)
	got, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.True(t, bytes.Equal(large, got))

	// A download that its client leaves does not keep the worker from stopping.
	answer, err = shared.owner.Download(t.Context(), storage.ID, "large", nil)
	require.NoError(t, err)
	_, err = io.ReadFull(answer.Body, make([]byte, 1000))
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	stop()
}

func TestTheSearchForAPortReplays(t *testing.T) {
	t.Parallel()
	id := contract.TransferWorkflowID(unique(t))
	found, err := contract.OpenTransfer.Run(t.Context(), shared.dialled,
		temporal.StartWorkflowOptions{ID: id, TaskQueue: contract.TaskQueue(shared.pool)}, contract.TransferInput{Pool: shared.pool})
	require.NoError(t, err)
	require.False(t, found.Off)
	require.Contains(t, found.URL, "https://127.0.0.1:")
	history := historyOf(t, id)
	replayer := sdk.NewWorkflowReplayer()
	worker.RegisterWorkflows(replayer)
	require.NoError(t, replayer.ReplayWorkflowHistory(nil, history))
	for _, event := range history.Events {
		require.Nil(t, event.GetActivityTaskScheduledEventAttributes(), "it waits for no slot of an activity")
	}
}

func TestADraftIsTestedByAWorkerAndItsSecretsStaySealed(t *testing.T) {
	t.Parallel()
	const secret = "s3cret-of-a-draft-location"
	dir := filepath.Join(t.TempDir(), "draft")
	result, err := shared.owner.TestStorageDraft(t.Context(), client.StorageDraft{Type: domain.StorageLocal, Config: domain.StorageConfig{Path: dir}})
	require.NoError(t, err)
	require.Equal(t, domain.HealthOK, result.Status, result.Message)
	require.Positive(t, *result.AvailableGB)
	require.Empty(t, regularFiles(t, dir), "the probe is gone")

	missing := filepath.Join(dir, "not", "there")
	result, err = shared.owner.TestStorageDraft(t.Context(), client.StorageDraft{Type: domain.StorageLocal, Config: domain.StorageConfig{Path: missing}})
	require.NoError(t, err)
	require.Equal(t, domain.HealthError, result.Status)
	require.NotEmpty(t, result.Hint)

	id := "draft-" + unique(t)
	config := domain.StorageConfig{Host: "127.0.0.1", Port: closedPort(t), Username: "nobody", Password: secret, RemotePath: "/srv/x"}
	sealed, err := shared.db.SealStorageDraft(t.Context(), id, db.StorageDraft{Type: domain.StorageSSH, Config: config})
	require.NoError(t, err)
	checked, err := contract.CheckStorageDraft.Run(t.Context(), shared.dialled,
		temporal.StartWorkflowOptions{ID: id, TaskQueue: contract.TaskQueue(shared.pool)}, contract.StorageDraftInput{ID: id, Sealed: sealed})
	require.NoError(t, err)
	require.NotEqual(t, domain.HealthOK, checked.Status)
	history, err := proto.Marshal(historyOf(t, id))
	require.NoError(t, err)
	require.Contains(t, string(history), sealed, "payloads are in the clear here")
	require.NotContains(t, string(history), secret)

	_, err = shared.owner.StorageLocations.Create(t.Context(), client.StorageLocationDocument{Name: id, Type: domain.StorageSSH, Config: config})
	require.Equal(t, http.StatusUnprocessableEntity, client.Status(err), "%v", err)
	require.ErrorContains(t, err, "config.host_key")
	require.NotContains(t, err.Error(), secret)
}

func regularFiles(t *testing.T, dir string) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, at)
		}
		return err
	}))
	return files
}
