package api

import "testing"

// TestTablesOfWhatHasNoneToChooseAreRefused: a backup would ignore them, or fail.
func TestTablesOfWhatHasNoneToChooseAreRefused(t *testing.T) {
	f := signedIn(t)
	_, _, storage := f.job("chosen")
	sqlserver := object{"host": "127.0.0.1", "database": "d", "username": "sa", "password": "p", "backup_directory": `C:\b`, "worker_directory": "/mnt/backup"}
	for kind, config := range map[string]object{"files": {"source_path": "/srv"}, "sqlserver": sqlserver} {
		t.Run(kind, func(t *testing.T) {
			id := f.call("POST", "/api/datasources", object{"name": kind, "type": kind, "connection_config": config}).ok(201).get("id")
			document := object{"name": kind, "datasource_id": id, "storage_location_id": storage}
			job := f.call("POST", "/api/backup-jobs", document).ok(201).get("id").(string)
			for _, field := range []string{"include_tables", "exclude_tables"} {
				document["backup_options"] = object{field: []string{"customers"}}
				f.call("POST", "/api/backup-jobs", document).wrong("backup_options." + field)
				f.call("POST", "/api/backup-jobs/"+job+"/run", object{"backup_options": document["backup_options"]}).wrong("backup_options." + field)
			}
		})
	}
}
