package api

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// servesBackups is a data port that answers for one kind; asked is what for, in order.
func servesBackups[T any](f *fixture, kind string, answer func(T) (dataport.Content, error)) (asked func() []T) {
	f.t.Helper()
	var mu sync.Mutex
	var all []T
	port, err := dataport.Serve(dataport.Options{
		Listen: "127.0.0.1:0", Key: dataport.Key(f.db.TransferKey()), Pools: []string{"default"}, Logger: f.server.log,
		Sources: map[string]dataport.Source{kind: func(_ context.Context, body json.RawMessage) (dataport.Content, error) {
			var in T
			require.NoError(f.t, json.Unmarshal(body, &in))
			mu.Lock()
			all = append(all, in)
			mu.Unlock()
			return answer(in)
		}},
	})
	require.NoError(f.t, err)
	f.t.Cleanup(func() { port.Stop(context.Background()) })
	offer := port.Offer()
	answers(f, contract.TransferOffer{URL: offer.URL, Certificate: offer.Certificate, MAC: offer.MAC})
	return func() []T { mu.Lock(); defer mu.Unlock(); return all }
}

func TestThePlainDumpIsStreamedFromTheFirstCopyThatOpens(t *testing.T) {
	f := signedIn(t)
	backup, second := f.replicatedBackup()
	require.NoError(t, f.db.PutReplica(t.Context(), db.Replica{ExecutionID: backup, StorageLocationID: second, ManifestPath: "orders/manifest.json"}))
	path := "/api/backups/" + backup + "/download"
	asked := servesBackups(f, contract.TransferBackup, func(in contract.BackupDump) (dataport.Content, error) {
		switch {
		case in.Stream == "none":
			return dataport.Content{}, failure.New(failure.NotFound, "open the backup", "it has no stream", "Its streams are: main.")
		case in.StorageLocationID != second:
			return dataport.Content{}, failure.New(failure.Corrupt, "open the backup", "the manifest is gone", "")
		}
		return fileOf("0123456789"), nil
	})
	answer := f.call("GET", path, nil).ok(200)
	require.Equal(t, "0123456789", answer.text)
	require.Equal(t, "10", answer.header.Get("Content-Length"))
	require.Len(t, asked(), 2, "the first copy could not be opened")
	require.Equal(t, backup, asked()[1].ExecutionID)
	part := f.call("GET", path+"?stream=main&storage_location_id="+strings.ToUpper(second), nil, "Range", "bytes=2-3").ok(206)
	require.Equal(t, "23", part.text)
	require.Len(t, asked(), 3)
	require.Equal(t, "main", asked()[2].Stream)
	require.Contains(t, f.call("GET", path+"?stream=none", nil).problem(404).Detail, "Its streams are: main.")
	require.Len(t, asked(), 4, "another copy has no other streams")
	for _, bad := range []string{"a%00", "%ff"} {
		require.NotEmpty(t, f.call("GET", path+"?stream="+bad, nil).wrong("query.stream"))
		require.NotEmpty(t, f.call("GET", "/api/audit-logs/export?resource="+bad, nil).wrong("query.resource"))
	}
	require.Contains(t, f.call("GET", path+"?storage_location_id="+backup, nil).wrong("query.storage_location_id"), "copy")

	require.Len(t, f.audits("backup.download"), 3)
	require.Equal(t, backup, f.audits("backup.download")[0].ResourceID)
	require.Contains(t, f.audits("backup.download")[1].Changes+f.audits("backup.download")[0].Changes, "main")
	require.Equal(t, contract.TransferInput{Pool: "default"}, started[contract.TransferInput](f, "OpenTransfer"))

	for _, id := range []string{second, "00000000-0000-0000-0000-000000000000"} {
		f.call("GET", "/api/backups/"+id+"/download", nil).problem(404)
	}
	dbtest.Execute(t, f.url, `UPDATE storage_locations SET enabled = false`)
	require.Contains(t, f.call("GET", path, nil).problem(409).Detail, "No enabled storage location")
	dbtest.Execute(t, f.url, `UPDATE backup_executions SET deleting_at = now()`)
	f.call("GET", path, nil).problem(409)
}

func TestADumpThatBreaksOffOnTheWayIsNoShortFile(t *testing.T) {
	f := signedIn(t)
	job, datasource, storage := f.job("orders")
	path := "/api/backups/" + f.completed(job, datasource, storage) + "/download"
	broken := fileOf(strings.Repeat("x", 1<<20))
	broken.Open = func(context.Context, int64, int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<19)), failing{})), nil
	}
	several := dataport.Content{Type: "application/x-tar", Write: func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, strings.Repeat("x", 1<<19))
		require.NoError(t, err)
		return failure.New(failure.Corrupt, "read stream", "object x: its SHA-256 is not the one in the manifest", "")
	}}
	for name, content := range map[string]dataport.Content{"a dump": broken, "a tar": several} {
		servesBackups(f, contract.TransferBackup, func(contract.BackupDump) (dataport.Content, error) { return content, nil })
		f.breaksOff(path, name)
	}
}

func TestAPlainDumpAsksForTwoPermissionsAndForBothOnTheBackup(t *testing.T) {
	f := signedIn(t)
	job, datasource, storage := f.job("orders")
	backup := f.completed(job, datasource, storage)
	path := "/api/backups/" + backup + "/download"
	servesBackups(f, contract.TransferBackup, func(contract.BackupDump) (dataport.Content, error) { return fileOf("x"), nil })
	f.as(auth.StorageDownload).call("GET", path, nil).problem(403)
	f.as(auth.BackupsRead).call("GET", path, nil).problem(403)
	require.Empty(t, f.audits("backup.download"))
	f.as(auth.BackupsRead, auth.StorageDownload).call("GET", path, nil).ok(200)

	for _, permission := range []string{"backups.read", "storage.download"} {
		l := newLimited(t, object{"permission": permission, "resource": "datasource", "tag": "team-a"})
		servesBackups(l.fixture, contract.TransferBackup, func(contract.BackupDump) (dataport.Content, error) { return fileOf("x"), nil })
		l.ana.call("GET", "/api/backups/"+l.backup+"/download", nil).ok(200)
		l.ana.call("GET", "/api/backups/"+l.backup2+"/download", nil).problem(404)
	}
}

func TestAnAPITokenGoesOnDownloadingUntilItEnds(t *testing.T) {
	f := signedIn(t)
	made := f.call("POST", tokensPath, object{"name": "ci", "permissions": []string{"storage.download"}}).ok(201)
	who, err := f.server.authenticate(t.Context(), "test", "Bearer "+made.get("token").(string))
	require.NoError(t, err)
	ctx := withPrincipal(t.Context(), who)
	require.NoError(t, f.server.stillAllowed(ctx, auth.StorageDownload))
	require.Error(t, f.server.stillAllowed(ctx, auth.BackupsRead))
	dbtest.Execute(t, f.url, `UPDATE api_tokens SET expires_at = now() - interval '1 second'`)
	require.Error(t, f.server.stillAllowed(ctx, auth.StorageDownload))
}

func TestAFilesBackupIsListed(t *testing.T) {
	f := signedIn(t)
	datasource := f.call("POST", "/api/datasources", object{"name": "tree", "type": "files", "connection_config": object{"source_path": "/srv/tree"}}).ok(201).get("id").(string)
	storage := f.call("POST", "/api/storage-locations", storageBody("disk")).ok(201).get("id").(string)
	job := f.call("POST", "/api/backup-jobs", object{"name": "tree", "datasource_id": datasource, "storage_location_id": storage}).ok(201).get("id").(string)
	backup := f.completed(job, datasource, storage)
	path := "/api/backups/" + backup + "/files"
	text := `{"items": [{"name": "x", "path": "a/x", "type": "file", "size": 5, "modified_at": "` + time.Unix(0, 0).UTC().Format(time.RFC3339) + `", "mode": "0644"}], "next_cursor": "eA"}`
	asked := servesBackups(f, contract.TransferBackupFiles, func(in contract.BackupFolder) (dataport.Content, error) {
		if in.Path == "nowhere" {
			return dataport.Content{}, failure.New(failure.NotFound, "look into the backup", `it has no folder "nowhere"`, "")
		}
		return dataport.Content{Type: "application/json", Write: func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		}}, nil
	})
	answer := f.call("GET", path+"?path=a/&limit=1", nil).ok(200)
	require.JSONEq(t, text, answer.text)
	f.call("GET", path+"?cursor="+answer.get("next_cursor").(string), nil).ok(200)
	from := contract.BackupCopy{ExecutionID: backup, StorageLocationID: storage, Pool: "default"}
	require.Equal(t, []contract.BackupFolder{{BackupCopy: from, Path: "a", After: []byte{}, Limit: 1}, {BackupCopy: from, After: []byte("x"), Limit: 50}}, asked())
	require.Contains(t, f.call("GET", path+"?path=nowhere", nil).problem(404).Detail, "no folder")
	for _, bad := range []string{"..", "../x", "/etc", "a//b", "a/..", "./a", "a%00", "."} {
		require.NotEmpty(t, f.call("GET", path+"?path="+bad, nil).wrong("query.path"), bad)
	}
	f.call("GET", path+"?cursor=!", nil).wrong("query.cursor")
	f.as(auth.StorageDownload).call("GET", path, nil).problem(403)

	job, datasource, storage = f.job("orders")
	require.Contains(t, f.call("GET", "/api/backups/"+f.completed(job, datasource, storage)+"/files", nil).problem(409).Detail, "postgres")
}
