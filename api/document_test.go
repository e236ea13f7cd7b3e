package api

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// generic is a value as JSON decodes it.
func generic(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	var out any
	require.NoError(t, json.Unmarshal(text, &out))
	return out
}

// checkExample holds an example against its schema.
func (f *fixture) checkExample(what string, mode huma.ValidateMode, content *huma.MediaType) {
	f.t.Helper()
	if !assert.NotNil(f.t, content.Example, "%s has no example", what) || content.Schema == nil {
		return
	}
	result := &huma.ValidateResult{}
	huma.Validate(f.server.api.OpenAPI().Components.Schemas, content.Schema, huma.NewPathBuffer(nil, 0), mode, generic(f.t, content.Example), result)
	assert.Empty(f.t, result.Errors, "%s: %v", what, content.Example)
}

func TestEveryBodyAndEveryAnswerHasAnExampleThatIsOne(t *testing.T) {
	f := newFixture(t)
	known := map[string]bool{}
	for _, o := range f.operations() {
		known[o.OperationID] = o.RequestBody != nil
		if o.RequestBody != nil {
			require.NotEmpty(t, o.RequestBody.Content, o.OperationID)
			for format, content := range o.RequestBody.Content {
				if format == "application/json" {
					f.checkExample(o.OperationID+" body", huma.ModeWriteToServer, content)
				} else {
					assert.NotEmpty(t, content.Example, o.OperationID)
				}
			}
		}
		for status, answer := range o.Responses {
			if !strings.HasPrefix(status, "2") {
				continue
			}
			for format, content := range answer.Content {
				if format == "application/json" {
					f.checkExample(o.OperationID+" "+status, huma.ModeReadFromServer, content)
				} else {
					assert.NotEmpty(t, content.Example, "%s %s %s", o.OperationID, status, format)
				}
			}
		}
	}
	for operation := range requestExamples {
		require.True(t, known[operation], "an example is for %s, which takes no body", operation)
	}
}

// sent is a body of the examples as it was sent: with the ids of things that are there.
type sent struct {
	walked
	path, body string
}

// sendExamples sends every example that an operation takes, and gives what was sent.
func (f *fixture) sendExamples() map[string]sent {
	f.t.Helper()
	f.obliging()
	f.token = ""
	f.token = f.call("POST", "/api/auth/setup", requestExamples["auth-setup"]).ok(201).get("token").(string)
	operations, all := map[string]walked{}, map[string]sent{}
	for _, o := range f.operations() {
		operations[o.OperationID] = o
	}
	send := func(operation, target string, ids ...string) string {
		f.t.Helper()
		o := operations[operation]
		require.NotNil(f.t, o.Operation, operation)
		text := requestExamples[operation]
		for i := 0; i+1 < len(ids); i += 2 {
			text = strings.Replace(text, `"`+ids[i]+`": "`+exampleID, `"`+ids[i]+`": "`+ids[i+1], 1)
		}
		all[operation] = sent{o, o.filled(target), text}
		answer := f.call(o.method, o.filled(target), text)
		require.Less(f.t, answer.status, 300, "%s: %s", operation, answer.text)
		if answer.status == http.StatusNoContent {
			return ""
		}
		id, _ := answer.get("id").(string)
		return id
	}
	send("auth-login", "")
	datasource, storage := send("create-datasource", ""), send("create-storage-location", "")
	send("update-datasource", datasource)
	send("update-storage-location", storage)
	send("test-storage-location-draft", "")
	send("reconcile-storage-location", storage)
	other := f.call("POST", "/api/datasources", datasourceBody("staging")).ok(201).get("id").(string)
	job := send("create-backup-job", "", "datasource_id", datasource, "storage_location_id", storage)
	send("update-backup-job", job)
	send("preview-retention", job)
	backup := send("run-backup-job", job)
	f.finish(backup)
	send("pin-execution", backup)
	send("restore-backup", backup, "target_datasource_id", datasource)
	send("update-sync-job", send("create-sync-job", "", "source_datasource_id", datasource, "target_datasource_id", other, "storage_location_id", storage))
	send("update-drill-job", send("create-drill-job", "", "datasource_id", datasource))
	user := send("create-user", "")
	send("set-user-roles", user)
	send("update-user", user)
	role := send("create-role", "")
	send("update-role", role)
	send("set-role-permissions", role)
	send("create-scope", "", "user_id", user)
	send("create-token", "")
	send("update-notification-channel", send("create-notification-channel", ""))
	send("create-notification-template", "")
	send("preview-notification-template", "")
	send("read-all-notifications", "")
	send("add-recipient", "")
	send("update-settings", "")
	send("replace-settings", "")
	send("change-password", "")
	return all
}

// TestExamplesOfBodiesAreTaken sends them: what is shown is what works.
func TestExamplesOfBodiesAreTaken(t *testing.T) {
	f := newFixture(t)
	require.Greater(t, len(f.sendExamples()), 30)
	answer := f.direct("POST", "/api/system/config?dry_run=true", yamlType, requestExamples["apply-config"])
	require.Equal(t, http.StatusOK, answer.status, answer.text)
}

// statusesOf are the errors that an operation can not be without.
func (o walked) statusesOf(a access) []int {
	out := []int{http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable}
	if a.public == "" {
		out = append(out, http.StatusUnauthorized)
	}
	if len(a.anyOf) > 0 || a.person {
		out = append(out, http.StatusForbidden)
	}
	if o.RequestBody != nil {
		out = append(out, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	for _, p := range o.Parameters {
		switch {
		case p.In == "path" && p.Name != "key":
			out = append(out, http.StatusNotFound)
		case p.Name == "If-Match":
			out = append(out, http.StatusPreconditionFailed)
		case p.Name == idempotencyHeader:
			out = append(out, http.StatusConflict)
		case p.Name == approvalHeader:
			out = append(out, http.StatusAccepted)
		}
	}
	if throttledOperations[o.OperationID] {
		out = append(out, http.StatusTooManyRequests)
	}
	return out
}

var throttledOperations = map[string]bool{"auth-login": true, "auth-setup": true, "change-password": true}

func TestEveryOperationSaysWhichErrorsItAnswers(t *testing.T) {
	f := newFixture(t)
	for _, o := range f.operations() {
		declared := f.server.declared[o.method+" "+ginPath(o.path)]
		for _, status := range o.statusesOf(declared) {
			answer := o.Responses[strconv.Itoa(status)]
			if !assert.NotNil(t, answer, "%s does not name %d", o.OperationID, status) || status < http.StatusBadRequest {
				continue
			}
			assert.Contains(t, answer.Content, "application/problem+json", "%s %d", o.OperationID, status)
		}
		successes := 0
		for status := range o.Responses {
			if strings.HasPrefix(status, "2") || status == "302" {
				successes++
			}
		}
		assert.NotZero(t, successes, "%s names no answer", o.OperationID)
	}
}

var goodID = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// TestTheDocumentMakesAGoodClient: names are unique in whatever way a generator writes them, everything is described, and
// what is referred to is there.
func TestTheDocumentMakesAGoodClient(t *testing.T) {
	f := newFixture(t)
	document := f.server.api.OpenAPI()
	require.True(t, strings.HasPrefix(document.OpenAPI, "3.1"))
	require.NotEmpty(t, document.Info.Description)
	scheme := document.Components.SecuritySchemes[bearerScheme]
	require.Equal(t, "bearer", scheme.Scheme)
	seen := map[string]string{}
	for _, o := range f.operations() {
		where := o.method + " " + o.path
		assert.Regexp(t, goodID, o.OperationID, where)
		name := strings.ReplaceAll(o.OperationID, "-", "")
		assert.Empty(t, seen[name], "%s has the name of %s", where, seen[name])
		seen[name] = where
		assert.NotEmpty(t, o.Summary, where)
		assert.Len(t, o.Tags, 1, "%s: one group, which generators make a class of", where)
		assert.NotNil(t, o.Security, "%s says whether it asks for a token", where)
		for _, needed := range o.Security {
			assert.Contains(t, needed, bearerScheme, where)
		}
		inPath := map[string]bool{}
		for _, p := range o.Parameters {
			assert.NotNil(t, p.Schema, "%s %s", where, p.Name)
			if p.In == "path" {
				inPath[p.Name] = true
				assert.True(t, p.Required, "%s %s", where, p.Name)
			}
		}
		for _, part := range regexp.MustCompile(`\{([^}]+)\}`).FindAllStringSubmatch(o.path, -1) {
			assert.True(t, inPath[part[1]], "%s does not describe %s", where, part[1])
		}
	}
	text, err := json.Marshal(document)
	require.NoError(t, err)
	components := document.Components.Schemas.Map()
	for _, reference := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		require.Contains(t, components, reference[1])
	}
	for name := range components {
		assert.Regexp(t, `^[A-Z][A-Za-z0-9]*$`, name, "a type in any language")
	}
}
