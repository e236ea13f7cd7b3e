package api

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// storedJob is a document with everything that a patch may meet: lists, objects in objects, and objects that may be absent.
func storedJob() BackupJobDocument {
	on := true
	return BackupJobDocument{
		Name: "orders", DatasourceID: "018f1f6e-8b1a-7c5e-9d4e-2a5f1c3b7d90", StorageLocationID: "018f1f6e-8b1a-7c5e-9d4e-2a5f1c3b7d91",
		ScheduleCron: "0 3 * * *", Enabled: &on, RetentionPolicy: &domain.RetentionPolicy{MaxBackups: 3, AutoDelete: true},
		BackupOptions: domain.BackupOptions{
			IncludeTables: []string{"public.orders", "public.items"}, StorageTargets: []domain.StorageTarget{{StorageLocationID: "018f1f6e-8b1a-7c5e-9d4e-2a5f1c3b7d92", Order: 1}},
			BandwidthLimitMbps: 12.5, HeartbeatURL: "https://example.com/beat",
			Hooks:           &domain.Hooks{Before: []domain.Hook{{SQL: "CHECKPOINT", FailRun: true}, {URL: "https://example.com/hook"}}, AfterFailure: []domain.Hook{{Command: []string{"logger", "failed"}}}},
			ReferencedFiles: &domain.ReferencedFiles{Enabled: true, DiscoveryQuery: "SELECT path FROM files", PathColumn: "path", BaseDirectories: []string{"/srv/files"}, Password: dbPassword},
		},
	}
}

func FuzzPatch(f *testing.F) {
	for _, seed := range []string{
		`{"connection_config": {"ssh_tunnel": null, "port": 1}}`, `{"tags": null, "connection_config": null}`, `null`, `{}`, `[]`, `"x"`, `{"name": "a", "name": "b"}`,
		`{"backup_options": {"hooks": {"before": [{"url": "https://example.com/a", "fail_run": true}, {"sql": null}]}}}`,
		`{"backup_options": {"hooks": null, "referenced_files": null, "include_tables": []}, "retention_policy": null}`,
		`{"backup_options": {"hooks": {"before": null, "after_success": [{"command": ["a", null, "\ud800"]}]}}, "enabled": null}`,
		`{"backup_options": {"storage_targets": [{"order": 2}, {"storage_location_id": "x", "order": 9223372036854775808}], "bandwidth_limit_mbps": 1e400}}`,
		`{"backup_options": {"referenced_files": {"base_directories": [[[]]], "password": "********"}, "parallel_jobs": 1.5}}`,
		`{"retention_policy": {"max_backups": null, "keep_last": 5}, "NAME": "x", "\u017fchedule_cron": "@daily"}`,
		`{"connection_config": {"databases": {"all": true, "exclude": ["a"]}, "ssh_tunnel": {"host": "h", "port": null}}, "tags": ["b", "a"]}`,
		strings.Repeat(`{"backup_options": `, 30) + `1` + strings.Repeat(`}`, 30), `{"backup_options": ` + strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100) + `}`,
	} {
		f.Add([]byte(seed))
	}
	source := DatasourceDocument{Name: "kept", Tags: []string{"a"}, ConnectionConfig: domain.ConnectionConfig{
		Host: "db.example.com", Databases: &domain.DatabaseSelection{All: true, Exclude: []string{"tmp*"}},
		SSHTunnel: &domain.SSHTunnel{Host: "bastion", Username: "u", Password: dbPassword},
	}}
	f.Fuzz(func(t *testing.T, data []byte) {
		patches(t, data, source)
		patches(t, data, storedJob())
	})
}

// patches holds a patch to its rules: a refused one changes nothing, the stored document stays as it is, the same patch again changes
// nothing more, what is not named is kept, and a list that is sent is the list.
func patches[T any](t *testing.T, data []byte, stored T) {
	t.Helper()
	before, document := asJSON(t, stored), stored
	err := Patch[T]{raw: data}.ApplyTo(&document)
	require.Equal(t, before, asJSON(t, stored), "the stored document was changed")
	after := asJSON(t, document)
	if err != nil {
		require.Equal(t, before, after, "a refused patch changed the document")
		return
	}
	require.NoError(t, Patch[T]{raw: data}.ApplyTo(&document))
	require.Equal(t, after, asJSON(t, document), "the same patch again")
	var values [3]any
	for i, text := range []string{before, after, string(data)} {
		values[i], err = decoded([]byte(text))
		require.NoError(t, err)
	}
	keeps(t, values[0], values[1], values[2])
}

func asJSON(t *testing.T, document any) string {
	t.Helper()
	text, err := json.Marshal(document)
	require.NoError(t, err)
	return string(text)
}

// keeps compares an object before and after a patch, member by member.
func keeps(t *testing.T, before, after, sent any) {
	t.Helper()
	had, _ := before.(map[string]any)
	has, _ := after.(map[string]any)
	patch, isObject := sent.(map[string]any)
	if !isObject {
		return
	}
	for name, old := range had {
		named := 0
		for member := range patch {
			if strings.EqualFold(member, name) { // as encoding/json reads names
				named++
			}
		}
		switch value := patch[name].(type) {
		case map[string]any:
			if _, both := old.(map[string]any); both && named == 1 {
				keeps(t, old, has[name], value)
			}
		case []any:
			if got, _ := has[name].([]any); named == 1 {
				require.Len(t, got, len(value), "the list %s", name)
			}
		default:
			if named == 0 {
				require.Equal(t, old, has[name], "%s was not sent", name)
			}
		}
	}
}

func TestAPatchThatIsNestedTooDeeplyIsRefused(t *testing.T) {
	for _, deep := range []string{`{"backup_options": ` + strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000) + `}`, strings.Repeat(`{"backup_options": `, 20_000) + `1` + strings.Repeat(`}`, 20_000)} {
		document := storedJob()
		require.Error(t, Patch[BackupJobDocument]{raw: []byte(deep)}.ApplyTo(&document))
		require.Equal(t, storedJob(), document)
	}
}
