package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// answers lets Temporal run workflows that end with this result, and remembers the last one's start.
func answers[T any](f *fixture, result T) *mock.Call {
	return f.runs(func(_ context.Context, out any) error { *out.(*T) = result; return nil })
}

func (f *fixture) runs(get func(context.Context, any) error) *mock.Call {
	f.temporal.ExpectedCalls, f.temporal.Calls = nil, nil
	run := &mocks.WorkflowRun{}
	run.On("Get", mock.Anything, mock.Anything).Return(get)
	run.On("GetID").Return("files-1")
	run.On("GetRunID").Return("run-1")
	return f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(run, nil)
}

// started is the input of the workflow that was started last.
func started[T any](f *fixture, name string) T {
	f.t.Helper()
	for i := len(f.temporal.Calls) - 1; i >= 0; i-- {
		if call := f.temporal.Calls[i]; call.Method == "ExecuteWorkflow" {
			require.Equal(f.t, name, call.Arguments[2])
			return call.Arguments[3].(T)
		}
	}
	f.t.Fatal("no workflow was started")
	panic("unreachable")
}

func (f *fixture) disk(change ...func(object)) (id, files string) {
	f.t.Helper()
	body := storageBody("disk")
	for _, c := range change {
		c(body)
	}
	id = f.call("POST", "/api/storage-locations", body).ok(201).get("id").(string)
	return id, "/api/storage-locations/" + id + "/files"
}

func TestAFolderIsListedPageByPage(t *testing.T) {
	f := signedIn(t)
	id, files := f.disk()
	modified := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	answers(f, contract.FolderPart{More: true, Entries: []contract.FolderEntry{{Name: "chunks/"}, {Name: "x y", Size: 5, Modified: &modified}}})
	answer := f.call("GET", files+"?limit=2&path=orders/", nil).ok(200)
	require.JSONEq(t, `[
		{"name": "chunks", "path": "orders/chunks", "type": "folder", "size": null, "modified_at": null},
		{"name": "x y", "path": "orders/x y", "type": "file", "size": 5, "modified_at": "2026-01-02T03:04:05Z"}]`, jsonOf(t, answer.get("items")))
	require.Equal(t, contract.FolderInput{StorageLocationID: id, Path: "orders", Limit: 2, Labels: contract.Labels{Storage: "disk"}},
		started[contract.FolderInput](f, "ListFiles"))
	f.call("GET", files+"?path=orders&cursor="+answer.get("next_cursor").(string), nil).ok(200)
	require.Equal(t, "x y", started[contract.FolderInput](f, "ListFiles").After)

	answers(f, contract.FolderPart{Entries: []contract.FolderEntry{}})
	require.Empty(t, f.call("GET", files+"?path=/", nil).ok(200).get("next_cursor"))
	require.Empty(t, started[contract.FolderInput](f, "ListFiles").Path)
	require.Contains(t, f.call("GET", files+"?cursor=!", nil).wrong("query.cursor"), "cursor")
	answers(f, contract.FolderPart{Refusal: &contract.Refusal{Reason: contract.RefusedFailure, Class: string(failure.NotFound), Message: "there is no such folder"}})
	require.Equal(t, "there is no such folder.", f.call("GET", files+"?path=nothing", nil).problem(404).Detail)
	answers(f, contract.FolderPart{Refusal: &contract.Refusal{Reason: contract.RefusedFailure, Class: string(failure.ConfigInvalid), Message: "there is no bucket x"}})
	require.Contains(t, f.call("GET", files, nil).problem(502).Detail, "there is no bucket x", "nothing is wrong with what the client sent")
	answers(f, contract.FolderPart{Refusal: &contract.Refusal{Reason: contract.RefusedPath, Message: "a/b leads through a symbolic link"}})
	require.Contains(t, f.call("GET", files+"?path=a/b", nil).wrong("query.path"), "symbolic link")
	answers(f, contract.FolderPart{Refusal: &contract.Refusal{Reason: contract.RefusedFailure, Class: string(failure.AuthFailed), Message: "permission denied", Hint: "Run chown."}})
	require.Equal(t, "permission denied. Run chown.", f.call("GET", files, nil).problem(502).Detail)
}

func jsonOf(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

func TestNoPathLeadsOutOfALocation(t *testing.T) {
	f := signedIn(t)
	_, files := f.disk()
	for _, bad := range []string{"..", "../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/.", ".tmp/1", "a/..", "a\x00b", "a\xff", strings.Repeat("x", 256), "//"} {
		query := "?path=" + url.QueryEscape(bad)
		for _, call := range []struct{ method, path string }{{"GET", files}, {"GET", files + "/download"}, {"DELETE", files}} {
			if call.path == files && call.method == "GET" && bad == "//" {
				continue // the root's slash, twice
			}
			require.NotEmpty(t, f.call(call.method, call.path+query, nil).wrong("query.path"), "%s %s %q", call.method, call.path, bad)
		}
		if utf8.ValidString(bad) && !strings.ContainsRune(bad, 0) { // which no JSON holds
			require.NotEmpty(t, f.call("POST", files+"/copy", object{"from": bad, "to": "x"}).wrong("from"), bad)
			require.NotEmpty(t, f.call("POST", files+"/copy", object{"from": "x", "to": bad}).wrong("to"), bad)
		}
	}
	require.Empty(t, f.temporal.Calls, "nobody was asked")
	require.Empty(t, f.audits("storage_location.delete_files"))
}

func TestUsageIsMeasuredAndSharedOut(t *testing.T) {
	f := signedIn(t)
	job, datasource, location := f.job("orders")
	id := f.completed(job, datasource, location)
	require.NotEmpty(t, id)
	answers(f, contract.StorageUsage{Used: 10, Available: -1, Capacity: 100})
	answer := f.call("GET", "/api/storage-locations/"+location+"/usage", nil).ok(200)
	require.Equal(t, []any{10.0, nil, 100.0}, []any{answer.get("used_bytes"), answer.get("available_bytes"), answer.get("capacity_bytes")})
	require.JSONEq(t, `[{"datasource_id": "`+datasource+`", "name": "orders", "backups": 1, "bytes": 0}]`, jsonOf(t, answer.get("datasources")))
}

func TestFilesAreCopiedAndDeleted(t *testing.T) {
	f := signedIn(t)
	id, files := f.disk()
	remove, copied := files+"?path=orders/", object{"from": "a", "to": "b", "overwrite": true}

	answers(f, contract.FilesChanged{Objects: 3, Bytes: 30})
	answer := f.call("DELETE", remove, nil).ok(200)
	require.Equal(t, []any{"completed", 3.0, 30.0}, []any{answer.get("status"), answer.get("objects"), answer.get("bytes")})
	require.Equal(t, contract.DeleteFilesInput{StorageLocationID: id, Path: "orders/", Labels: contract.Labels{Storage: "disk"}},
		started[contract.DeleteFilesInput](f, "DeleteFiles"))
	require.Zero(t, f.temporal.Calls[0].Arguments[1].(client.StartWorkflowOptions).WorkflowExecutionTimeout, "it may take long")
	f.call("POST", files+"/copy", copied).ok(200)
	require.Equal(t, contract.CopyFileInput{StorageLocationID: id, From: "a", To: "b", Overwrite: true, Labels: contract.Labels{Storage: "disk"}},
		started[contract.CopyFileInput](f, "CopyFile"))
	require.JSONEq(t, `{"path": "orders/"}`, f.audits("storage_location.delete_files")[0].Changes)
	require.JSONEq(t, `{"from": "a", "to": "b", "overwrite": true}`, f.audits("storage_location.copy_file")[0].Changes)

	answers(f, contract.FilesChanged{Refusal: &contract.Refusal{Reason: contract.RefusedHeld, Message: "orders/ is needed by completed backup 1", Holders: []string{"completed backup 1"}}})
	p := f.call("DELETE", remove, nil).problem(http.StatusConflict)
	require.Equal(t, []string{"completed backup 1"}, p.Holders)
	answers(f, contract.FilesChanged{Refusal: &contract.Refusal{Reason: contract.RefusedExists, Message: "b is there already"}})
	f.call("POST", files+"/copy", copied).problem(http.StatusConflict)
	answers(f, contract.FilesChanged{Refusal: &contract.Refusal{Reason: contract.RefusedReserved, Message: "is a place where only backups write"}})
	require.Contains(t, f.call("POST", files+"/copy", copied).wrong("to"), "only backups")
	require.Contains(t, f.call("POST", files+"/copy", object{"from": "a", "to": "a"}).wrong("to"), "itself")

	forever := func(ctx context.Context, _ any) error { <-ctx.Done(); return ctx.Err() }
	pollers := func(found ...*taskqueuepb.PollerInfo) {
		f.temporal.On("DescribeTaskQueue", mock.Anything, "dataguardian.default", mock.Anything).
			Return(&workflowservice.DescribeTaskQueueResponse{Pollers: found}, nil)
	}
	f.runs(forever)
	pollers(&taskqueuepb.PollerInfo{})
	answer = f.call("DELETE", remove, nil).ok(http.StatusAccepted)
	require.Equal(t, []any{"running", nil, "files-1"}, []any{answer.get("status"), answer.get("objects"), answer.get("workflow_id")})

	f.runs(forever)
	pollers()
	f.temporal.On("TerminateWorkflow", mock.Anything, "files-1", "run-1", mock.Anything).Return(nil).Once()
	f.call("DELETE", remove, nil).problem(http.StatusServiceUnavailable)
	f.temporal.AssertCalled(t, "TerminateWorkflow", mock.Anything, "files-1", "run-1", mock.Anything)

	f.call("PATCH", "/api/storage-locations/"+id, object{"enabled": false}).ok(200)
	require.Contains(t, f.call("DELETE", remove, nil).problem(http.StatusConflict).Detail, "disabled")
}

// serveData is a worker's data port whose offer Temporal hands out.
func (f *fixture) serveData(content dataport.Content) *dataport.Server {
	f.t.Helper()
	port, err := dataport.Serve(dataport.Options{
		Listen: "127.0.0.1:0", Key: dataport.Key(f.db.TransferKey()), Pools: []string{"default"}, Logger: f.server.log,
		Sources: map[string]dataport.Source{contract.TransferStorageFiles: func(_ context.Context, body json.RawMessage) (dataport.Content, error) {
			var file contract.StorageFile
			require.NoError(f.t, json.Unmarshal(body, &file))
			if file.Path != "some/file" || file.Pool != "default" {
				return dataport.Content{}, failure.New(failure.NotFound, "stat object", "there is no "+file.Path, "")
			}
			return content, nil
		}},
	})
	require.NoError(f.t, err)
	f.t.Cleanup(func() { port.Stop(context.Background()) })
	offer := port.Offer()
	answers(f, contract.TransferOffer{URL: offer.URL, Certificate: offer.Certificate, MAC: offer.MAC})
	return port
}

func fileOf(data string) dataport.Content {
	return dataport.Content{Name: "file", Type: "application/octet-stream", Size: int64(len(data)), ETag: `"1"`,
		Open: func(_ context.Context, offset, _ int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(data[offset:])), nil
		}}
}

func TestADownloadStreamsFromTheWorker(t *testing.T) {
	f := signedIn(t)
	id, files := f.disk()
	download := files + "/download?path=some/file"
	data := strings.Repeat("0123456789", 100_000)
	f.serveData(fileOf(data))
	answer := f.call("GET", download, nil).ok(200)
	require.Equal(t, data, answer.text)
	require.Equal(t, "1000000", answer.header.Get("Content-Length"))
	require.Equal(t, "attachment; filename=file", answer.header.Get("Content-Disposition"))
	require.Equal(t, contract.TransferInput{Pool: "default"}, started[contract.TransferInput](f, "OpenTransfer"), "what is read does not pass through Temporal")
	part := f.call("GET", download, nil, "Range", "bytes=10-14", "If-Range", `"1"`).ok(206)
	require.Equal(t, "01234", part.text)
	require.Equal(t, "bytes 10-14/1000000", part.header.Get("Content-Range"))
	f.call("GET", download, nil, "If-None-Match", `"1"`).ok(304)
	beyond := f.call("GET", download, nil, "Range", "bytes=1000000-")
	beyond.problem(http.StatusRequestedRangeNotSatisfiable)
	require.Equal(t, "bytes */1000000", beyond.header.Get("Content-Range"))
	require.Equal(t, "stat object: there is no other.", f.call("GET", files+"/download?path=other", nil).problem(404).Detail)
	require.Len(t, f.audits("storage_location.download"), 5)
	require.Equal(t, id, f.audits("storage_location.download")[0].ResourceID)
	require.NotContains(t, f.log.String(), "some/file", "no log holds the path")
}

func TestADownloadThatFailsOnTheWayBreaksOff(t *testing.T) {
	f := signedIn(t)
	_, files := f.disk()
	broken := fileOf(strings.Repeat("x", 1<<20))
	broken.Open = func(context.Context, int64, int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<19)), failing{})), nil
	}
	stream := dataport.Content{Type: "application/zip", Write: func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, strings.Repeat("x", 1<<19))
		return errors.Join(err, errors.New("the disk is broken"))
	}}
	for name, content := range map[string]dataport.Content{"a file": broken, "a zip": stream} {
		f.serveData(content)
		f.breaksOff(files+"/download?path=some/file", name)
	}
}

// breaksOff wants a download that begins well and is cut off.
func (f *fixture) breaksOff(path, what string) {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.http.URL+path, nil)
	require.NoError(f.t, err)
	request.Header.Set("Authorization", "Bearer "+f.token)
	answer, err := f.http.Client().Do(request)
	require.NoError(f.t, err)
	require.Equal(f.t, 200, answer.StatusCode, what)
	_, err = io.Copy(io.Discard, answer.Body)
	require.ErrorIs(f.t, err, io.ErrUnexpectedEOF, what)
	require.NoError(f.t, answer.Body.Close())
}

func TestADownloadGoesAsFastAsItsClientAndEndsWithIt(t *testing.T) {
	f := signedIn(t)
	_, files := f.disk()
	const total, buffers = 512 << 20, 64 << 20 // what sockets and TLS may hold on the way
	var written atomic.Int64
	ended := make(chan error, 1)
	f.serveData(dataport.Content{Type: "application/zip", Write: func(ctx context.Context, w io.Writer) error {
		block := make([]byte, 64<<10)
		for written.Load() < total {
			n, err := w.Write(block)
			if written.Add(int64(n)); err != nil {
				break
			}
		}
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.http.URL+files+"/download?path=some/file", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+f.token)
	answer, err := f.http.Client().Do(request)
	require.NoError(t, err)
	_, err = io.ReadFull(answer.Body, make([]byte, 1<<20))
	require.NoError(t, err)
	var before int64 = -1
	require.Eventually(t, func() bool {
		now := written.Load()
		still := now == before
		before = now
		return still
	}, 20*time.Second, 300*time.Millisecond)
	require.Less(t, written.Load(), int64(buffers))
	require.NoError(t, answer.Body.Close())
	require.ErrorIs(t, <-ended, context.Canceled, "the worker stops reading")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk is broken") }

func TestADownloadWithoutAPortIsExplained(t *testing.T) {
	f := signedIn(t)
	_, files := f.disk()
	download := files + "/download?path=some/file"
	answers(f, contract.TransferOffer{Off: true})
	require.Contains(t, f.call("GET", download, nil).problem(503).Detail, "DATAGUARDIAN_DATA_LISTEN")
	port := f.serveData(fileOf("x"))
	port.Stop(t.Context())
	p := f.call("GET", download, nil).problem(502)
	require.Contains(t, p.Detail, "DATAGUARDIAN_DATA_URL")
	f.temporal.AssertNumberOfCalls(t, "ExecuteWorkflow", transferTries) // another worker might have answered
	forged := contract.TransferOffer{URL: "https://127.0.0.1:1", Certificate: make([]byte, 32), MAC: make([]byte, 32)}
	answers(f, forged)
	require.Contains(t, f.call("GET", download, nil).problem(502).Detail, "master key")
	f.as(auth.StorageRead).call("GET", download, nil).problem(403)
}

func TestALocationIsTestedBeforeItIsSaved(t *testing.T) {
	f := signedIn(t)
	const password = "s3cret-of-the-draft"
	draft := object{"type": "ssh", "config": object{"host": "nas.example.com", "username": "backup", "password": password, "remote_path": "/srv/b"}}
	answers(f, contract.CheckResult{Status: domain.HealthError, Message: "not confirmed", HostKey: "ssh-ed25519 AAAA", HostKeyFingerprint: "SHA256:abc"})
	answer := f.call("POST", "/api/storage-locations/test", draft).ok(200)
	require.Equal(t, []any{"error", "ssh-ed25519 AAAA", "SHA256:abc"}, []any{answer.get("status"), answer.get("host_key"), answer.get("host_key_fingerprint")})
	input := started[contract.StorageDraftInput](f, "CheckStorageDraft")
	require.NotContains(t, jsonOf(t, input), "s3cret")
	require.NotContains(t, jsonOf(t, input), "nas.example.com")
	opened, err := f.db.OpenStorageDraft(input.ID, input.Sealed)
	require.NoError(t, err)
	require.Equal(t, password, opened.Config.Password)
	require.Equal(t, 22, opened.Config.Port, "in its normal form")
	_, err = f.db.OpenStorageDraft("another", input.Sealed)
	require.Error(t, err)
	require.NotContains(t, f.audits("storage_location.test_draft")[0].Changes, "s3cret")
	require.Contains(t, f.call("POST", "/api/storage-locations/test", object{"type": "local", "config": object{"path": "relative"}}).wrong("config.path"), "absolute")
	f.as(auth.BackupJobsRun).call("POST", "/api/storage-locations/test", draft).problem(403)

	create := object{"name": "nas", "type": "ssh", "config": draft["config"]}
	message := f.call("POST", "/api/storage-locations", create).wrong("config.host_key")
	require.Contains(t, message, "SHA256:abc")
	require.Contains(t, message, `"ssh-ed25519 AAAA"`)
	answers(f, contract.CheckResult{Status: domain.HealthUnreachable, Message: "no route"})
	require.Contains(t, f.call("POST", "/api/storage-locations", create).wrong("config.host_key"), "no route")
	f.runs(func(context.Context, any) error { return errors.New("down") })
	require.Contains(t, f.call("POST", "/api/storage-locations", create).wrong("config.host_key"), "no worker could look it up")
	require.Empty(t, f.call("GET", "/api/storage-locations", nil).ok(200).get("items"), "nothing is stored")

	draft["config"].(object)["host_key"] = "SHA256:" + strings.Repeat("A", 43)
	id := f.call("POST", "/api/storage-locations", create).ok(201).get("id").(string)
	require.Contains(t, f.call("PATCH", "/api/storage-locations/"+id, object{"config": object{"host_key": ""}}).wrong("config.password"), "host_key changed")
	require.Contains(t, f.call("PATCH", "/api/storage-locations/"+id, object{"config": object{"host_key": "", "password": password}}).wrong("config.host_key"), "required")

	t.Run("a change keeps the stored secret where it was entered for", func(t *testing.T) {
		answers(f, contract.CheckResult{Status: domain.HealthOK})
		change := object{"type": "ssh", "storage_location_id": id, "config": object{
			"host": "nas.example.com", "username": "backup", "password": failure.Mask, "remote_path": "/srv/c", "host_key": "SHA256:" + strings.Repeat("A", 43)}}
		f.call("POST", "/api/storage-locations/test", change).ok(200)
		input := started[contract.StorageDraftInput](f, "CheckStorageDraft")
		opened, err := f.db.OpenStorageDraft(input.ID, input.Sealed)
		require.NoError(t, err)
		require.Equal(t, []string{password, "/srv/c"}, []string{opened.Config.Password, opened.Config.RemotePath})
		change["config"].(object)["host"] = "evil.example.com"
		require.Contains(t, f.call("POST", "/api/storage-locations/test", change).wrong("config.password"), "host changed")
	})
}
