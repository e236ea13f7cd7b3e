package api

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/auth"
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
	f.call("PATCH", "/api/backup-jobs/"+job, object{"backup_options": object{"referenced_files": object{"source_type": "ssh"}}}).problem(422)

	backup := f.completed(job, datasource, storage)
	request := object{"target_datasource_id": datasource, "confirmation_phrase": "RESTORE documents", "referenced_files_directory": "/srv/restored"}
	says := f.call("POST", "/api/backups/"+backup+"/restore", request).wrong("referenced_files_directory")
	require.Contains(t, says, "has no referenced files")
	request["referenced_files_directory"] = "relative"
	f.call("POST", "/api/backups/"+backup+"/restore", request).wrong("referenced_files_directory")
}
