package api

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// bareServer answers with the rows of a statement as JSON, and does nothing besides: what a page costs whoever
// serves it.
type bareServer struct {
	*httptest.Server
	pool *pgxpool.Pool
	said pgx.TraceQueryStartData
}

func newBareServer(t *testing.T, url string) *bareServer {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_custom_plan" // as those of the API
	b := &bareServer{}
	b.pool, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(b.pool.Close)
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := b.read(r.Context())
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			text = []byte(err.Error())
		}
		_, _ = w.Write(text)
	}))
	t.Cleanup(b.Close)
	return b
}

// read reads the rows, decodes them and encodes them.
func (b *bareServer) read(ctx context.Context) ([]byte, error) {
	rows, err := b.pool.Query(ctx, b.said.SQL, b.said.Args...)
	if err != nil {
		return nil, err
	}
	items, err := pgx.CollectRows(rows, pgx.RowToMap)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		for name, value := range item {
			if id, is := value.([16]byte); is {
				item[name] = uuid.UUID(id).String()
			}
		}
	}
	return json.Marshal(items)
}

// sameRows demands that the answer of the API is the page that the bare SELECT reads, which asks for one row more, and says how
// many rows it has.
func (s *speed) sameRows(answer []byte, limit int) int {
	s.t.Helper()
	var page struct {
		Items []map[string]any `json:"items"`
	}
	require.NoError(s.t, json.Unmarshal(answer, &page))
	text, err := s.bare.read(s.t.Context())
	require.NoError(s.t, err, s.bare.said.SQL)
	var rows []map[string]any
	require.NoError(s.t, json.Unmarshal(text, &rows))
	require.Len(s.t, page.Items, min(len(rows), limit), s.bare.said.SQL)
	for i, item := range page.Items {
		for _, name := range []string{"id", "execution_id", "datasource_id", "key"} { // whichever names the row
			if id, has := item[name]; has {
				chunk, _ := rows[i]["chunk_id"].(string)
				binary, _ := base64.StdEncoding.DecodeString(chunk) // as encoding/json writes bytes
				require.Contains(s.t, []any{rows[i]["id"], rows[i]["object_key"], hex.EncodeToString(binary)}, id, s.bare.said.SQL)
				break
			}
		}
	}
	return len(page.Items)
}
