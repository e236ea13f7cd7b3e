package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/auth"
)

const configText = `
datasources:
- name: orders
  type: postgres
  tags: [prod]
  connection_config: {host: db.example.com, database: orders, username: backup, password: ` + dbPassword + `}
storage_locations:
- {name: disk, type: local, config: {path: /srv/backups}}
- {name: second, type: local, config: {path: /srv/second}}
backup_jobs:
- name: nightly
  datasource: orders
  storage_location: disk
  backup_options:
    storage_strategy: replicate
    storage_targets: [{storage_location: second, order: 1}]
notification_channels:
- {name: hook, type: webhook, config: {url: "https://hooks.example.com/x", secret: signing-secret-of-ours}}
notification_templates:
- {channel: webhook, type: backup_failed, body: "{{ .Title }}"}
`

func (f *fixture) apply(text, query string) reply {
	f.t.Helper()
	return f.call("POST", "/api/system/config"+query, text, "Content-Type", "application/yaml")
}

// actions are what became of each thing, in short.
func (r reply) actions() []string {
	r.t.Helper()
	out := []string{}
	for _, change := range r.get("changes").([]any) {
		c := change.(object)
		out = append(out, c["action"].(string)+" "+c["kind"].(string)+" "+c["name"].(string))
	}
	return out
}

func TestADocumentIsAppliedOnceAndAgainWithoutChange(t *testing.T) {
	f := signedIn(t)
	everything := []string{"datasources orders", "storage_locations disk", "storage_locations second", "backup_jobs nightly", "notification_channels hook", "notification_templates webhook/backup_failed"}
	all := func(action string) (out []string) {
		for _, one := range everything {
			out = append(out, action+" "+one)
		}
		return out
	}
	dry := f.apply(configText, "?dry_run=true").ok(200)
	require.Equal(t, all("create"), dry.actions())
	require.NotContains(t, dry.text, dbPassword)
	require.Empty(t, f.call("GET", "/api/datasources", nil).get("items"), "a dry run leaves nothing behind")
	require.Empty(t, f.audits("datasource.create"))

	require.Equal(t, all("create"), f.apply(configText, "").ok(200).actions())
	require.Len(t, f.audits("datasource.create"), 1)
	require.Len(t, f.audits("backup_job.create"), 1)
	require.Len(t, f.audits("config.apply"), 1)

	require.Equal(t, all("unchanged"), f.apply(configText, "").ok(200).actions())
	require.Empty(t, f.audits("datasource.update"), "nothing that is the same is written")

	exported := f.call("GET", "/api/system/config", nil).ok(200)
	require.Equal(t, "application/yaml", exported.header.Get("Content-Type"))
	require.Contains(t, exported.text, "datasource: orders")
	require.Contains(t, exported.text, "storage_location: second")
	require.NotContains(t, exported.text, dbPassword)
	require.NotContains(t, exported.text, "_id:")
	require.NotContains(t, exported.text, "signing-secret-of-ours")
	require.Equal(t, all("unchanged"), f.apply(exported.text, "").ok(200).ordered(everything))
}

func TestTheOverlapPolicyOfADrillIsApplied(t *testing.T) {
	f := signedIn(t)
	f.schedules()
	text := configText + `
restore_drill_jobs:
- {name: proof, datasource: orders, schedule_cron: "@weekly", overlap_policy: buffer_one}
`
	f.apply(text, "").ok(200)
	require.Equal(t, "buffer_one", f.call("GET", "/api/restore-drill-jobs", nil).ok(200).get("items").([]any)[0].(object)["overlap_policy"])
	require.Contains(t, f.apply(text, "").ok(200).actions(), "unchanged restore_drill_jobs proof")
	exported := f.call("GET", "/api/system/config", nil).ok(200).text
	require.Contains(t, exported, "overlap_policy: buffer_one")
	require.Contains(t, f.apply(strings.ReplaceAll(exported, "buffer_one", "skip"), "").ok(200).actions(), "update restore_drill_jobs proof")
}

// ordered are the actions in the order of names; an export lists the newest first.
func (r reply) ordered(names []string) []string {
	r.t.Helper()
	out := []string{}
	for _, name := range names {
		for _, action := range r.actions() {
			if strings.HasSuffix(action, " "+name) {
				out = append(out, action)
			}
		}
	}
	return out
}

func TestAChangedDocumentChangesWhatItNames(t *testing.T) {
	f := signedIn(t)
	f.apply(configText, "").ok(200)
	text := strings.Replace(configText, "tags: [prod]", "tags: [prod, eu]", 1)
	text = strings.Replace(text, dbPassword, "another-password", 1)
	answer := f.apply(text, "?dry_run=true").ok(200)
	require.Equal(t, "update datasources orders", answer.actions()[0])
	require.Contains(t, answer.text, "connection_config.password")
	require.NotContains(t, answer.text, "another-password")
	require.Empty(t, f.audits("datasource.update"))

	require.Equal(t, "update datasources orders", f.apply(text, "").ok(200).actions()[0])
	entries := f.audits("datasource.update")
	require.Len(t, entries, 1)
	require.NotContains(t, entries[0].Changes, "another-password")
	require.Equal(t, "unchanged datasources orders", f.apply(text, "").ok(200).actions()[0])
	text = strings.Replace(text, "{{ .Title }}", "Look: {{ .Title }}", 1)
	require.Equal(t, "update notification_templates webhook/backup_failed", f.apply(text, "").ok(200).actions()[5])
	require.Len(t, f.audits("notification_template.create"), 2)
	require.Equal(t, "unchanged notification_templates webhook/backup_failed", f.apply(text, "").ok(200).actions()[5])
	require.Equal(t, "unchanged datasources orders", f.apply(strings.Replace(text, "another-password", `"********"`, 1), "").ok(200).actions()[0])
}

func TestADocumentThatIsWrongChangesNothing(t *testing.T) {
	f := signedIn(t)
	for name, tc := range map[string]struct{ from, to, location, message string }{
		"a name that is nowhere":                {"datasource: orders", "datasource: nothing", "backup_jobs[0].datasource", "nothing called"},
		"a field that the API does not know":    {"tags: [prod]", "tgas: [prod]", "datasources[0].tgas", "unexpected property"},
		"a type that the API does not know":     {"type: postgres", "type: oracle", "datasources[0].type", "one of"},
		"a value that the API refuses":          {"path: /srv/second", "path: relative", "storage_locations[1].config.path", "absolute"},
		"a section that is none":                {"backup_jobs:", "jobs:", "jobs", "no section"},
		"a name that is there twice":            {"name: second", "name: Disk", "storage_locations[1].name", "twice"},
		"a thing without a name":                {"name: second, ", "", "storage_locations[1].name", "required"},
		"a mask with nothing stored":            {dbPassword, `"********"`, "datasources[0].connection_config.password", "none is stored"},
		"a reference to the server's own":       {dbPassword, `{from_env: DATABASE_URL}`, "datasources[0].connection_config.password", "dataguardian apply"},
		"a target that is the job's own place":  {"storage_targets: [{storage_location: second", "storage_targets: [{storage_location: disk", "backup_jobs[0].backup_options.storage_targets[0].storage_location_id", "own location"},
		"a section that is an object":           {"datasources:\n- name: orders\n", "datasources:\n  name: orders\n", "datasources", "not a list"},
		"a field of the wrong type":             {"tags: [prod]", "tags: 5", "datasources[0].tags", "array"},
		"a template without a type":             {"type: backup_failed, ", "", "notification_templates[0].channel", "required"},
		"a template that can not be filled in":  {"{{ .Title }}", "{{ .Nothing }}", "notification_templates[0].body", "Nothing"},
		"an id that is none":                    {"datasource: orders", "datasource_id: abc", "backup_jobs[0].datasource_id", "uuid"},
		"an id that is nothing's":               {"datasource: orders", "datasource_id: 0199c6f0-0000-7000-8000-000000000001", "backup_jobs[0].datasource_id", "no datasource"},
		"a name too long for its column":        {"name: second", "name: " + strings.Repeat("x", 300), "storage_locations[1].name", "length"},
		"a new one without what the API needs":  {"- {name: disk, type: local, config: {path: /srv/backups}}", "- {name: disk, type: local}", "storage_locations[0].config", "required"},
		"a storage location with another's job": {"storage_location: disk", "storage_location: 7", "backup_jobs[0].storage_location", "unexpected"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, configText, tc.from)
			f := *f
			f.t = t
			text := strings.Replace(configText, tc.from, tc.to, 1)
			require.Contains(t, f.apply(text, "").wrong(tc.location), tc.message)
			require.Empty(t, f.call("GET", "/api/datasources", nil).get("items"))
		})
	}
	require.Empty(t, f.audits("datasource.create"))
	for name, tc := range map[string]struct {
		text   string
		status int
	}{
		"no YAML":     {"a: [1", http.StatusBadRequest},
		"a key twice": {"datasources: []\ndatasources: []\n", http.StatusBadRequest},
		"a list":      {"- a\n", http.StatusUnprocessableEntity},
		"aliases without end": {
			"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n" +
				"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n", http.StatusBadRequest},
		"a NUL":            {"datasources: [{name: \"a\\0\"}]", http.StatusBadRequest},
		"an empty section": {"datasources:\n", http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			f := *f
			f.t = t
			f.apply(tc.text, "").ok(tc.status)
		})
	}
}

func TestWhoAppliesADocumentMayWriteWhatItNames(t *testing.T) {
	f := signedIn(t)
	some := f.as(auth.SystemWrite, auth.SystemRead, auth.DatasourcesWrite, auth.DatasourcesRead)
	p := some.apply(configText, "").problem(http.StatusForbidden)
	require.Contains(t, p.Detail, string(auth.StorageWrite))
	require.Empty(t, f.call("GET", "/api/datasources", nil).get("items"))
	only := configText[:strings.Index(configText, "storage_locations:")]
	some.apply(only, "").ok(200)
	require.Contains(t, some.call("GET", "/api/system/config", nil).ok(200).text, "# backup_jobs are left out")
	f.as(auth.DatasourcesWrite).apply(only, "").problem(http.StatusForbidden)
}

func TestADocumentIsOfTheWholeInstallation(t *testing.T) {
	f := signedIn(t)
	f.apply(configText, "").ok(200)
	other := f.call("POST", "/api/datasources", datasourceBody("other")).ok(201).get("id").(string)
	limited := f.as(auth.SystemWrite, auth.SystemRead, auth.DatasourcesWrite, auth.DatasourcesRead)
	user := limited.call("GET", "/api/auth/me", nil).get("id").(string)
	f.call("POST", "/api/access/scopes", object{"user_id": user, "permission": "*", "effect": "allow", "resource": "datasource", "resource_id": other}).ok(201)
	limited.apply("datasources: [{name: other, tags: [mine]}]", "").problem(http.StatusForbidden)
	limited.call("GET", "/api/system/config", nil).problem(http.StatusForbidden)
	require.NotContains(t, f.call("GET", "/api/datasources/"+other, nil).get("tags"), "mine")
}

func TestAScheduleIsMadeWhenTheWholeDocumentIsStored(t *testing.T) {
	f := signedIn(t) // whose Temporal takes no call
	scheduled := strings.Replace(configText, "  backup_options:\n", "  schedule_cron: '@daily'\n  backup_options:\n", 1)
	f.apply(scheduled, "?dry_run=true").ok(200)
	require.Empty(t, f.temporal.Calls, "a dry run asks nothing of Temporal")
}

func TestAPolicyThatDeletesSeveralBackupsIsConfirmedInTheDocument(t *testing.T) {
	f := signedIn(t)
	job, datasource, storage := f.job("orders")
	for range 3 {
		f.completed(job, datasource, storage)
	}
	name := f.call("GET", "/api/backup-jobs/"+job, nil).ok(200).get("name").(string)
	refused := f.apply("backup_jobs: [{name: \""+name+"\", retention_policy: {max_backups: 1}}]", "").problem(http.StatusUnprocessableEntity)
	require.Contains(t, refused.Detail, "confirm_retention", "it says how to go on")
	f.apply("backup_jobs: [{name: \""+name+"\", retention_policy: {max_backups: 1}, confirm_retention: true}]", "").ok(200)
}
