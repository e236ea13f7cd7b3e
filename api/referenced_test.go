package api

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestReferencedFilesNeedThePermissionsForWhatTheyRead(t *testing.T) {
	f := signedIn(t)
	job, datasource, storage := f.job("documents")
	options := object{"referenced_files": object{
		"enabled": true, "discovery_query": "select path from documents", "path_column": "path", "base_directories": []string{"/srv/files"},
	}}
	document := object{"name": "another", "datasource_id": datasource, "storage_location_id": storage, "backup_options": options}
	for missing, has := range map[auth.Permission][]auth.Permission{
		auth.DatasourcesQuery: {auth.BackupJobsWrite, auth.BackupJobsRead, auth.DatasourcesWrite},
		auth.DatasourcesWrite: {auth.BackupJobsWrite, auth.BackupJobsRead, auth.DatasourcesQuery},
	} {
		other := f.as(has...)
		require.Contains(t, other.call("POST", "/api/backup-jobs", document).problem(http.StatusForbidden).Detail, string(missing))
		require.Contains(t, other.call("PATCH", "/api/backup-jobs/"+job, object{"backup_options": options}).problem(http.StatusForbidden).Detail, string(missing))
	}
	f.call("PATCH", "/api/backup-jobs/"+job, object{"backup_options": options}).ok(200)
	weak := f.as(auth.BackupJobsWrite, auth.BackupJobsRead, auth.BackupJobsRun)
	weak.call("PATCH", "/api/backup-jobs/"+job, object{"name": "other name"}).ok(200)
	change := object{"backup_options": object{"referenced_files": object{"base_directories": []string{"/etc"}}}}
	weak.call("PATCH", "/api/backup-jobs/"+job, change).problem(http.StatusForbidden)
	weak.call("POST", "/api/backup-jobs/"+job+"/run", change).wrong("backup_options.referenced_files")
	f.call("PATCH", "/api/backup-jobs/"+job, object{"backup_options": object{"referenced_files": object{"source_type": "ssh"}}}).
		wrong("backup_options.referenced_files.host_key")

	backup := f.completed(job, datasource, storage)
	request := object{"target_datasource_id": datasource, "confirmation_phrase": "RESTORE documents", "referenced_files_directory": "/srv/restored"}
	says := f.call("POST", "/api/backups/"+backup+"/restore", request).wrong("referenced_files_directory")
	require.Contains(t, says, "has no referenced files")
	request["referenced_files_directory"] = "relative"
	f.call("POST", "/api/backups/"+backup+"/restore", request).wrong("referenced_files_directory")
}

func TestTheLoginOfReferencedFilesIsWriteOnly(t *testing.T) {
	f := signedIn(t)
	job, _, _ := f.job("documents")
	path, hostKey := "/api/backup-jobs/"+job, "SHA256:"+strings.Repeat("a", 43)
	files := object{
		"enabled": true, "discovery_query": "select path from documents", "path_column": "path", "base_directories": []string{"/srv/files"},
		"source_type": "ssh", "host": "files.example", "username": "reader", "password": "very-secret", "host_key": hostKey,
	}
	options := func(change object) object {
		changed := maps.Clone(files)
		maps.Copy(changed, change)
		return object{"backup_options": object{"referenced_files": changed}}
	}
	answer := f.call("PATCH", path, options(nil)).ok(200)
	require.NotContains(t, answer.text, "very-secret")
	require.Contains(t, answer.text, failure.Mask)
	f.call("PATCH", path, options(object{"password": failure.Mask, "max_files": 7})).ok(200)
	f.call("PATCH", path, object{"backup_options": object{"referenced_files": object{"max_files": 8}}}).ok(200)
	row, err := f.db.GetBackupJob(t.Context(), job)
	require.NoError(t, err)
	require.Equal(t, "very-secret", row.BackupOptions.ReferencedFiles.Password, "it is kept")
	for field, value := range map[string]any{"host": "evil.example", "port": 2222, "username": "root", "host_key": "SHA256:" + strings.Repeat("b", 43)} {
		says := f.call("PATCH", path, object{"backup_options": object{"referenced_files": object{field: value}}}).wrong("backup_options.referenced_files.password")
		require.Contains(t, says, field)
	}
	f.call("PATCH", path, object{"backup_options": object{"referenced_files": object{"host_key": "none"}}}).wrong("backup_options.referenced_files.host_key")
	f.call("PATCH", path, options(object{"source_type": "local"})).wrong("backup_options.referenced_files.source_type")
	for _, entry := range f.audits("backup_job.update") {
		require.NotContains(t, entry.Changes, "very-secret")
	}

	f.starts()
	ran := f.call("POST", path+"/run", object{"backup_options": object{"referenced_files": object{"password": failure.Mask}}}).ok(202)
	require.NotContains(t, ran.text, "very-secret")
	execution, err := f.db.GetExecution(t.Context(), ran.get("id").(string))
	require.NoError(t, err)
	require.Empty(t, execution.Metadata.Options.ReferencedFiles.Password, "an execution has none")
	require.Equal(t, "files.example", execution.Metadata.Options.ReferencedFiles.Host)
	require.NotContains(t, f.audits("backup_job.run")[0].Changes, "very-secret")
}

func TestReferencedFilesAreRefusedWhereNoQueryFindsThem(t *testing.T) {
	f := signedIn(t)
	_, _, storage := f.job("documents")
	for name, datasource := range map[string]object{
		"mongodb":               {"type": "mongodb", "connection_config": object{"host": "127.0.0.1", "database": "d"}},
		"files":                 {"type": "files", "connection_config": object{"source_path": "/srv"}},
		"databases of a server": {"type": "postgres", "connection_config": object{"host": "127.0.0.1", "username": "u", "databases": object{"all": true}}},
	} {
		t.Run(name, func(t *testing.T) {
			datasource["name"] = name
			id := f.call("POST", "/api/datasources", datasource).ok(201).get("id")
			document := object{"name": name, "datasource_id": id, "storage_location_id": storage, "backup_options": object{"referenced_files": object{
				"enabled": true, "discovery_query": "select 1", "path_column": "path", "base_directories": []string{"/srv/files"},
			}}}
			f.call("POST", "/api/backup-jobs", document).wrong("backup_options.referenced_files")
		})
	}
}
