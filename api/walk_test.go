package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"github.com/dataguardian/dataguardian/api/problem"
)

const walkRequests = 5000

// walked is an operation of the document.
type walked struct {
	method, path string
	*huma.Operation
}

// operations are all operations of the document, in a stable order.
func (f *fixture) operations() []walked {
	var all []walked
	for path, item := range f.server.api.OpenAPI().Paths {
		for method, operation := range map[string]*huma.Operation{
			http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPatch: item.Patch, http.MethodPut: item.Put, http.MethodDelete: item.Delete,
		} {
			if operation != nil {
				all = append(all, walked{method, path, operation})
			}
		}
	}
	slices.SortFunc(all, func(a, b walked) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

// obliging is a Temporal that takes everything and whose workflows all end well with nothing to tell.
func (f *fixture) obliging() {
	f.schedules()
	run := &mocks.WorkflowRun{}
	run.On("Get", mock.Anything, mock.Anything).Return(f.endings())
	run.On("GetID").Return("workflow")
	run.On("GetRunID").Return("run")
	f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(run, nil)
	f.temporal.On("GetWorkflow", mock.Anything, mock.Anything, mock.Anything).Return(run)
	f.temporal.On("CancelWorkflow", mock.Anything, mock.Anything, mock.Anything).Return(nil)
	f.temporal.On("SignalWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil)
	f.temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, mock.Anything).Return(nil, serviceerror.NewNotFound("no such workflow"))
	f.temporal.On("CheckHealth", mock.Anything, mock.Anything).Return(&client.CheckHealthResponse{}, nil)
}

// rarely is how many walks round the document pass an operation by, whose every call costs a password hash.
var rarely = map[string]int{"auth-login": 6, "change-password": 3}

// streams reports whether the answer of an operation may have no end.
func (o walked) streams() bool {
	return o.Responses["200"] != nil && o.Responses["200"].Content["text/event-stream"] != nil
}

// firstWords ends a request when the first of its answer is written: a stream may have no end.
type firstWords struct {
	*httptest.ResponseRecorder
	end context.CancelFunc
}

func (w firstWords) Write(text []byte) (int, error) {
	w.end()
	return w.ResponseRecorder.Write(text)
}

func (w firstWords) WriteString(text string) (int, error) { return w.Write([]byte(text)) }

// serve answers a request without a network.
func (f *fixture) serve(t *testing.T, o walked, request *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), 2*time.Minute)
	defer end()
	answer := httptest.NewRecorder()
	var to http.ResponseWriter = answer
	if o.streams() {
		to = firstWords{answer, end}
	}
	f.server.engine.ServeHTTP(to, request.WithContext(ctx))
	return answer
}

// walkFrom is a source of requests: random, but the same in every run.
type walkFrom struct {
	*rand.Rand
	ids      []string
	seeds    map[string]string // ids of things that are there, by a word of the paths and fields that name them
	things   map[string]string // and by the beginning of the paths that do
	registry huma.Registry
}

// seed makes one of each resource, that the walk may change and delete.
func (r *walkFrom) seed(f *fixture, n int) {
	job, datasource, storage := f.job(fmt.Sprint("seed ", n))
	backup := f.completed(job, datasource, storage)
	r.ids = append(r.ids, job, datasource, storage, backup)
	r.seeds = map[string]string{"job": job, "datasource": datasource, "storage": storage, "execution": backup}
}

// seedMore makes one of each other thing, by what the book knows of them.
func (r *walkFrom) seedMore(b *book) {
	r.things = map[string]string{}
	for _, operation := range []string{
		"update-role", "delete-scope", "update-user", "approve", "revoke-token", "update-notification-channel", "activate-notification-template", "read-notification",
		"resend-notification", "update-sync-job", "cancel-sync-execution", "update-drill-job", "cancel-drill-execution", "remove-recipient", "remove-identity",
	} {
		path := b.makes[operation]().path
		at := anyID.FindStringIndex(path)
		r.things[path[:at[0]]] = path[at[0]:at[1]]
	}
}

var anyID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// idFor is most often the id of a thing of the kind that a path or a field is about.
func (r *walkFrom) idFor(name string) string {
	if r.IntN(10) < 7 {
		for path, id := range r.things { // none is the beginning of another
			if strings.HasPrefix(name, path) {
				return id
			}
		}
		for _, word := range []string{"job", "datasource", "storage", "execution"} {
			if strings.Contains(strings.ToLower(name), word) {
				return r.seeds[word]
			}
		}
	}
	return r.id()
}

var nastyTexts = []string{
	"", " ", "'; DROP TABLE users; --", "\x00", "a\x00b", strings.Repeat("x", 5000), "../../etc/passwd", "null", "-1", "1e309", "0", "true",
	"\u202e\U0001F600", "%", "%00", "{{.}}", "00000000-0000-0000-0000-000000000000", "9999-12-31T23:59:59Z", "* * * * *", "61 * * * *",
	"Mars/Olympus", "\xff\xfe", "[]", "{}", "NaN", "\"", "\\", "\r\nX-Injected: 1",
}

func (r *walkFrom) text() string { return nastyTexts[r.IntN(len(nastyTexts))] }

func (r *walkFrom) id() string {
	switch n := r.IntN(10); {
	case n < 6 && len(r.ids) > 0:
		return r.ids[r.IntN(len(r.ids))]
	case n < 8:
		return uuid.NewString()
	default:
		return r.text()
	}
}

// value makes a value for a schema, most often a valid one.
func (r *walkFrom) value(schema *huma.Schema, depth int) any {
	for schema != nil && schema.Ref != "" {
		schema = r.registry.SchemaFromRef(schema.Ref)
	}
	switch {
	case schema == nil || r.IntN(12) == 0:
		return r.nasty(depth)
	case len(schema.Enum) > 0:
		return schema.Enum[r.IntN(len(schema.Enum))]
	}
	switch schema.Type {
	case huma.TypeBoolean:
		return r.IntN(2) == 0
	case huma.TypeInteger, huma.TypeNumber:
		low, high := 0.0, 100.0
		if schema.Minimum != nil {
			low = *schema.Minimum
		}
		if schema.Maximum != nil {
			high = *schema.Maximum
		}
		return int(low + r.Float64()*max(high-low, 0))
	case huma.TypeArray:
		items := []any{}
		for range r.IntN(3) {
			items = append(items, r.value(schema.Items, depth+1))
		}
		return items
	case huma.TypeObject:
		out := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) { // in an order, so that every run is the same
			property := schema.Properties[name]
			if slices.Contains(schema.Required, name) || (depth < 5 && r.IntN(3) == 0) {
				out[name] = r.value(property, depth+1)
				if property.Format == "uuid" && r.IntN(8) != 0 {
					out[name] = r.idFor(name)
				}
			}
		}
		if r.IntN(15) == 0 {
			out["no_such_field"] = 1
		}
		return out
	default:
		switch schema.Format {
		case "uuid":
			return r.id()
		case "date-time":
			return time.Unix(r.Int64N(4e9), 0).UTC().Format(time.RFC3339)
		}
		return fmt.Sprintf("text %d", r.IntN(1000))
	}
}

func (r *walkFrom) nasty(depth int) any {
	switch r.IntN(8) {
	case 0:
		return nil
	case 1:
		return -1
	case 2:
		return 1e300
	case 3:
		return []any{r.text()}
	case 4:
		return map[string]any{r.text(): depth}
	case 5:
		return true
	default:
		return strings.ToValidUTF8(r.text(), "")
	}
}

// request makes a request of an operation.
func (r *walkFrom) request(t *testing.T, o walked) *http.Request {
	t.Helper()
	path, query, header := o.path, url.Values{}, http.Header{}
	for _, p := range o.Parameters {
		value := fmt.Sprint(r.value(p.Schema, 0))
		if p.Schema != nil && p.Schema.Format == "uuid" {
			value = r.idFor(o.path + p.Name)
		}
		if r.IntN(15) == 0 {
			value = r.text()
		}
		switch {
		case p.In == "path":
			if value == "" {
				value = uuid.NewString()
			}
			path = strings.Replace(path, "{"+p.Name+"}", url.PathEscape(value), 1)
		case p.In == "query" && (p.Required || r.IntN(3) == 0):
			query.Set(p.Name, value)
		case p.In == "header" && r.IntN(4) == 0:
			header.Set(p.Name, strings.Map(func(c rune) rune {
				if c < ' ' || c > '~' {
					return '?'
				}
				return c
			}, value))
		}
	}
	if r.IntN(40) == 0 {
		query.Set("no_such_parameter", "1")
	}
	var body []byte
	format := "application/json"
	if o.RequestBody != nil && o.RequestBody.Content["application/json"] == nil {
		if body = []byte(r.text()); r.IntN(2) == 0 { // a YAML document
			body = []byte(requestExamples[o.OperationID])
		}
		format = yamlType
	} else if o.RequestBody != nil && r.IntN(20) != 0 {
		var err error
		body, err = json.Marshal(r.value(o.RequestBody.Content["application/json"].Schema, 0))
		require.NoError(t, err)
		if r.IntN(25) == 0 {
			body = body[:len(body)/2]
		}
	}
	request := httptest.NewRequest(o.method, "/", bytes.NewReader(body))
	target, err := url.Parse(path)
	require.NoError(t, err)
	target.RawQuery = query.Encode()
	request.URL, request.RequestURI = target, target.RequestURI()
	request.Header = header
	request.Header.Set("Content-Type", format)
	if r.IntN(50) == 0 {
		request.Header.Set("Content-Type", r.text())
	}
	return request
}

func TestAWalkOverTheDocumentFindsNoFault(t *testing.T) {
	b := newBook(t)
	f := b.fixture
	owner := f.call("GET", "/api/auth/me", nil).ok(200).get("id").(string)
	r := &walkFrom{
		Rand: rand.New(rand.NewPCG(1, 2)), registry: f.server.api.OpenAPI().Components.Schemas, //nolint:gosec // the same in every run
	}
	operations := f.operations()
	statuses := map[string]map[int]int{}
	for n := range walkRequests {
		if n%(4*len(operations)) == 0 {
			f.token = f.session(owner, time.Now().Add(time.Hour))
			r.seed(f, n)
		}
		if n%(12*len(operations)) == 0 {
			r.seedMore(b)
		}
		o := operations[n%len(operations)]
		if every := rarely[o.OperationID]; every > 0 && n/len(operations)%every != 0 {
			o = operations[(n+1)%len(operations)]
		}
		request := r.request(t, o)
		request.Header.Set("Authorization", "Bearer "+f.token)
		answer := f.serve(t, o, request)
		if answer.Code == http.StatusUnauthorized && o.Security != nil && len(o.Security) > 0 {
			f.token = f.session(owner, time.Now().Add(time.Hour)) // the walk ended its own session
		}
		if r.check(t, o, request, answer); t.Failed() && n > walkRequests/2 {
			break
		}
		if statuses[o.OperationID] == nil {
			statuses[o.OperationID] = map[int]int{}
		}
		statuses[o.OperationID][answer.Code]++
	}
	require.NotContains(t, f.log.String(), "panic in a request")
	passed := 0
	for id, counts := range statuses {
		for status := range counts {
			if status < http.StatusMultipleChoices {
				passed++
				break
			}
		}
		t.Log(id, counts)
	}
	require.Greater(t, passed*2, len(operations), "the walk must reach behind the validation of most operations")
}

// check holds an answer against the document.
func (r *walkFrom) check(t *testing.T, o walked, request *http.Request, answer *httptest.ResponseRecorder) {
	t.Helper()
	told := fmt.Sprintf("%s %s: %d %s", request.Method, request.URL, answer.Code, answer.Body)
	assert.Less(t, answer.Code, http.StatusInternalServerError, told)
	assert.NotEmpty(t, answer.Header().Get("X-Request-Id"), told)
	if answer.Code >= http.StatusBadRequest {
		assert.Equal(t, problem.ContentType, answer.Header().Get("Content-Type"), told)
		var p problem.Problem
		assert.NoError(t, json.Unmarshal(answer.Body.Bytes(), &p), told)
		assert.Equal(t, answer.Code, p.Status, told)
	}
	// An id that is no path segment leads to another path, or to none.
	if answer.Code != http.StatusNotFound && answer.Code != http.StatusMethodNotAllowed {
		assert.Contains(t, o.Responses, strconv.Itoa(answer.Code), "the document does not name the status: "+told)
	}
	if o.Responses[strconv.Itoa(answer.Code)] != nil {
		assert.Empty(t, o.faultsOf(r.registry, answer.Code, answer.Header(), answer.Body.String()), "not as the document says: "+told)
	}
	var made struct {
		ID string `json:"id"`
	}
	if answer.Code < http.StatusMultipleChoices && json.Unmarshal(answer.Body.Bytes(), &made) == nil && made.ID != "" {
		r.ids = append(r.ids, made.ID)
	}
}
