package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/api/problem"
)

// with is a copy of body with one member replaced by path, nil to leave it out.
func with(body object, value any, path ...string) object {
	out := object{}
	for name, member := range body {
		out[name] = member
	}
	switch {
	case len(path) > 1:
		out[path[0]] = with(body[path[0]].(object), value, path[1:]...)
	case value == nil:
		delete(out, path[0])
	default:
		out[path[0]] = value
	}
	return out
}

func TestBadDatasources(t *testing.T) {
	f := signedIn(t)
	good := datasourceBody("orders")
	for name, tc := range map[string]struct {
		body     object
		location string
		says     string
	}{
		"without a name":                 {with(good, nil, "name"), "name", "required"},
		"with an empty name":             {with(good, "  ", "name"), "name", "required"},
		"with a name of 300 bytes":       {with(good, strings.Repeat("n", 300), "name"), "name", ""},
		"with a line break in the name":  {with(good, "a\nb", "name"), "name", "control"},
		"with fields of another type":    {with(good, "sqlite", "type"), "connection_config.host", "not a setting of datasource type sqlite"},
		"of no type":                     {with(good, "oracle", "type"), "type", ""},
		"in a pool with a bad name":      {with(good, "Site B", "pool"), "pool", "lower-case"},
		"without a host":                 {with(good, nil, "connection_config", "host"), "connection_config.host", "required"},
		"with an empty host":             {with(good, " ", "connection_config", "host"), "connection_config.host", "required"},
		"with a port that is too high":   {with(good, 70000, "connection_config", "port"), "connection_config.port", ""},
		"with a line break in the user":  {with(good, "a\nb", "connection_config", "username"), "connection_config.username", ""},
		"with an unknown ssl_mode":       {with(good, "prefer", "connection_config", "ssl_mode"), "connection_config.ssl_mode", ""},
		"with verify-full and no CA":     {with(good, "verify-full", "connection_config", "ssl_mode"), "connection_config.ca_certificate", "required"},
		"with a CA that is none":         {with(good, "x", "connection_config", "ca_certificate"), "connection_config.ca_certificate", "PEM"},
		"with the mask as its password":  {with(good, "********", "connection_config", "password"), "connection_config.password", "none is stored"},
		"with a tag of a thousand bytes": {with(good, []string{strings.Repeat("t", 1000)}, "tags"), "tags", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := *f
			f.t = t
			answer := f.call("POST", "/api/datasources", tc.body)
			require.Contains(t, answer.wrong(tc.location), tc.says)
			require.NotContains(t, answer.text, dbPassword)
		})
	}
	require.Empty(t, f.call("GET", "/api/datasources", nil).ok(200).get("items"))
}

func TestBadStorageLocationsAndJobs(t *testing.T) {
	f := signedIn(t)
	_, datasource, storage := f.job("orders")
	elsewhere := f.call("POST", "/api/storage-locations", with(storageBody("far"), "site-b", "pool")).ok(201).get("id")
	job := object{"name": "nightly", "datasource_id": datasource, "storage_location_id": storage}
	for name, tc := range map[string]struct {
		path     string
		body     object
		location string
		says     string
	}{
		"storage of a type without its fields": {"storage-locations", with(storageBody("s"), "s3", "type"), "config.bucket", "required"},
		"storage with another type's field":    {"storage-locations", with(storageBody("s"), "backups", "config", "bucket"), "config.bucket", "local"},
		"storage with a relative path":         {"storage-locations", with(storageBody("s"), "backups", "config", "path"), "config.path", "absolute"},
		"storage on the root directory":        {"storage-locations", with(storageBody("s"), "/srv/..", "config", "path"), "config.path", "root"},
		"a job that is never due":              {"backup-jobs", with(job, "0 0 30 2 *", "schedule_cron"), "schedule_cron", "no day of the calendar"},
		"a job with a cron of six fields":      {"backup-jobs", with(job, "0 0 2 * * *", "schedule_cron"), "schedule_cron", "five fields"},
		"a job with another overlap policy":    {"backup-jobs", with(job, "cancel_other", "overlap_policy"), "overlap_policy", ""},
		"a job in no time zone":                {"backup-jobs", with(job, "Mars/Olympus", "schedule_timezone"), "schedule_timezone", "IANA"},
		"a job of a missing datasource":        {"backup-jobs", with(job, uuid.NewString(), "datasource_id"), "datasource_id", "there is no datasource"},
		"a job to a missing storage":           {"backup-jobs", with(job, uuid.NewString(), "storage_location_id"), "storage_location_id", "there is no storage"},
		"a job across pools":                   {"backup-jobs", with(job, elsewhere, "storage_location_id"), "storage_location_id", "one worker must reach both"},
		"a job of an unknown backup type":      {"backup-jobs", with(job, object{"backup_type": "sometimes"}, "backup_options"), "backup_options.backup_type", ""},
		"a job that is never full again":       {"backup-jobs", with(job, object{"backup_type": "incremental", "full_every": 1001}, "backup_options"), "backup_options.full_every", ""},
		"a job with a level too high":          {"backup-jobs", with(job, object{"compression": "gzip", "compression_level": 12}, "backup_options"), "backup_options.compression_level", ""},
		"a job with a trickle of bandwidth":    {"backup-jobs", with(job, object{"bandwidth_limit_mbps": 0.01}, "backup_options"), "backup_options.bandwidth_limit_mbps", "0 for no limit"},
		"a job with a negative retention":      {"backup-jobs", with(job, object{"max_backups": -1, "auto_delete": true}, "retention_policy"), "retention_policy.max_backups", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := *f
			f.t = t
			require.Contains(t, f.call("POST", "/api/"+tc.path, tc.body).wrong(tc.location), tc.says)
		})
	}
	t.Run("a datasource with a job stays in its pool", func(t *testing.T) {
		require.Contains(t, f.call("PATCH", "/api/datasources/"+datasource, object{"pool": "site-b"}).wrong("pool"), "orders")
	})
}

func TestSecretsAreWriteOnly(t *testing.T) {
	f := signedIn(t)
	created := f.call("POST", "/api/datasources", datasourceBody("orders")).ok(201)
	id := created.get("id").(string)
	path := "/api/datasources/" + id
	stored := func() string {
		row, err := f.db.GetDatasource(context.Background(), id)
		require.NoError(t, err)
		return row.Config.Password
	}
	require.Equal(t, "********", created.get("connection_config", "password"))
	require.Equal(t, dbPassword, stored())

	f.call("PATCH", path, object{"connection_config": object{"password": "********", "database": "archive"}}).ok(200)
	require.Equal(t, dbPassword, stored(), "the mask keeps what is stored")
	f.call("PATCH", path, object{"enabled": false}).ok(200)
	require.Equal(t, dbPassword, stored(), "so does saying nothing")
	f.call("PATCH", path, object{"connection_config": object{"password": "another-secret"}}).ok(200)
	require.Equal(t, "another-secret", stored())
	f.call("DELETE", path, nil).ok(204)

	updates := f.audits("datasource.update")
	require.Len(t, updates, 3)
	require.Contains(t, updates[0].Changes, "archive")
	require.Contains(t, updates[2].Changes, "connection_config.password", "the trail says that the secret was replaced")
	everything := append(append(updates, f.audits("datasource.create")...), f.audits("datasource.delete")...)
	require.Len(t, everything, 5)
	for _, entry := range everything {
		require.Equal(t, ownerEmail, entry.Actor)
		require.Equal(t, id, entry.ResourceID)
		require.NotContains(t, entry.Changes, dbPassword)
		require.NotContains(t, entry.Changes, "another-secret")
	}
	require.NotContains(t, f.log.String(), dbPassword)
}

func TestAStoredPasswordGoesNowhereElse(t *testing.T) {
	f := signedIn(t)
	id := f.call("POST", "/api/datasources", datasourceBody("orders")).ok(201).get("id").(string)
	path := "/api/datasources/" + id
	change := func(connection object) reply {
		return f.call("PATCH", path, object{"connection_config": connection})
	}
	for field, value := range map[string]any{"host": "evil.example.com", "port": 6432, "username": "postgres", "ssl_mode": "disable"} {
		t.Run(field, func(t *testing.T) {
			says := change(object{field: value}).wrong("connection_config.password")
			require.Contains(t, says, "give it again, because "+field+" changed")
			change(object{field: value, "password": "********"}).wrong("connection_config.password")
		})
	}
	row, err := f.db.GetDatasource(context.Background(), id)
	require.NoError(t, err)
	require.Equal(t, "db.example.com", row.Config.Host)

	change(object{"host": " db.example.com ", "port": nil, "ssl_mode": nil}).ok(200) // the same in another form
	change(object{"database": "archive"}).ok(200)
	change(object{"host": "db2.example.com", "ssl_mode": "disable", "password": "entered again"}).ok(200)
	change(object{"ssl_mode": "require"}).ok(200)                     // better protected
	change(object{"host": "db3.example.com", "password": ""}).ok(200) // nothing to send
}

func TestAPatchChangesWhatItNames(t *testing.T) {
	f := signedIn(t)
	job, _, _ := f.job("orders")
	path := "/api/backup-jobs/" + job
	before := f.call("GET", path, nil).ok(200)
	require.Equal(t, "zstd", before.get("backup_options", "compression"))

	after := f.call("PATCH", path, object{"backup_options": object{"verify": "full"}, "enabled": nil}).ok(200)
	require.Equal(t, "full", after.get("backup_options", "verify"))
	require.Equal(t, "zstd", after.get("backup_options", "compression"))
	require.Equal(t, true, after.get("enabled"), "null changes nothing")
	require.Equal(t, before.get("name"), after.get("name"))
	require.Equal(t, before.get("version").(float64)+1, after.get("version"))
	f.call("PATCH", path, object{"backup_options": object{"vreify": "full"}}).wrong("backup_options.vreify")
	f.call("PATCH", path, object{"id": uuid.NewString()}).wrong("id")
	f.call("PATCH", path, object{"name": ""}).wrong("name")
}

func TestIfMatchRefusesALostUpdate(t *testing.T) {
	f := signedIn(t)
	answer := f.call("POST", "/api/datasources", datasourceBody("orders")).ok(201)
	path, tag := answer.header.Get("Location"), answer.header.Get("ETag")
	require.Equal(t, `"1"`, tag)
	changed := f.call("PATCH", path, object{"tags": []string{"b", "a"}}, "If-Match", tag).ok(200)
	require.Equal(t, `"2"`, changed.header.Get("ETag"))
	require.Equal(t, []any{"a", "b"}, changed.get("tags"))
	f.call("PATCH", path, object{"tags": []string{"c"}}, "If-Match", tag).problem(http.StatusPreconditionFailed)
	f.call("PATCH", path, object{"tags": []string{"c"}}, "If-Match", "*").ok(200)
	f.call("PATCH", path, object{"tags": []string{"c"}}, "If-Match", "yesterday").wrong("header.If-Match")
}

func TestWhatIsNeededIsNotDeleted(t *testing.T) {
	f := signedIn(t)
	job, datasource, storage := f.job("orders")
	for _, path := range []string{"/api/datasources/" + datasource, "/api/storage-locations/" + storage} {
		p := f.call("DELETE", path, nil).problem(http.StatusConflict)
		require.Equal(t, []string{`backup job "orders"`}, p.Holders)
	}
	backup := f.completed(job, datasource, storage)
	f.call("DELETE", "/api/backup-jobs/"+job, nil).ok(204)
	p := f.call("DELETE", "/api/storage-locations/"+storage, nil).problem(http.StatusConflict)
	require.Contains(t, strings.Join(p.Holders, " "), backup)
	require.Empty(t, f.audits("storage_location.delete"), "a refused deletion leaves no entry of a change")
}

func TestNamesAreUniqueAndOnlyText(t *testing.T) {
	f := signedIn(t)
	name := `'; DROP TABLE datasources; -- <script>`
	id := f.call("POST", "/api/datasources", datasourceBody(name)).ok(201).get("id").(string)
	require.Equal(t, name, f.call("GET", "/api/datasources/"+id, nil).ok(200).get("name"))
	p := f.call("POST", "/api/datasources", datasourceBody(name)).problem(http.StatusConflict)
	require.Equal(t, []problem.Field{{Location: "name", Message: "is taken; choose another"}}, p.Errors)
}

func TestListsArePaged(t *testing.T) {
	f := signedIn(t)
	for _, name := range []string{"a", "b", "c"} {
		f.call("POST", "/api/datasources", datasourceBody(name)).ok(201)
	}
	var names []string
	cursor := ""
	for range 3 {
		page := f.call("GET", "/api/datasources?limit=1&cursor="+cursor, nil).ok(200)
		names = append(names, page.get("items").([]any)[0].(object)["name"].(string))
		cursor = page.get("next_cursor").(string)
	}
	require.Equal(t, []string{"c", "b", "a"}, names)
	require.Empty(t, cursor)
}

func TestAnObjectThatADocumentMayBeWithoutIsTakenFromItByNull(t *testing.T) {
	f := signedIn(t)
	document := datasourceBody("orders")
	tunnel := object{"host": "bastion", "username": "me", "password": "tunnel-secret", "host_key": "SHA256:" + strings.Repeat("a", 43)}
	document["connection_config"].(object)["ssh_tunnel"] = tunnel
	created := f.call("POST", "/api/datasources", document).ok(201)
	path := "/api/datasources/" + created.get("id").(string)
	require.Equal(t, "********", created.get("connection_config", "ssh_tunnel", "password"))
	row, err := f.db.GetDatasource(context.Background(), created.get("id").(string))
	require.NoError(t, err)
	require.Equal(t, "tunnel-secret", row.Config.SSHTunnel.Password)

	says := f.call("PATCH", path, object{"connection_config": object{"ssh_tunnel": object{"host": "evil"}}}).wrong("connection_config.ssh_tunnel.password")
	require.Contains(t, says, "ssh_tunnel.host")
	f.call("PATCH", path, object{"connection_config": object{"ssh_tunnel": nil, "password": nil}}).wrong("connection_config.password")
	f.call("PATCH", path, object{"connection_config": object{"ssh_tunnel": nil, "password": dbPassword}}).ok(200)
	f.call("PATCH", path, object{"connection_config": nil}).ok(200)
	row, err = f.db.GetDatasource(context.Background(), row.ID)
	require.NoError(t, err)
	require.Nil(t, row.Config.SSHTunnel)
	require.Equal(t, dbPassword, row.Config.Password)

	f.call("PATCH", path, object{"connection_config": object{"database": "", "databases": object{"all": true}}}).ok(200)
	f.call("PATCH", path, object{"connection_config": object{"database": "one", "databases": nil}}).ok(200)
	for _, entry := range append(f.audits("datasource.update"), f.audits("datasource.create")...) {
		require.NotContains(t, entry.Changes, "tunnel-secret")
	}
}
