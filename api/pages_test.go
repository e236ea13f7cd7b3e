package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// madeUp replaces what is unique in the copy of a row. jsonb_populate_record takes of it what a table has.
const madeUp = `jsonb_build_object('id', gen_random_uuid(), 'name', gen_random_uuid(), 'email', gen_random_uuid() || '@example.com', 'notification_id', gen_random_uuid(),
	'generation', left(md5(random()::text), 8), 'version', 1000000 + (random() * 1000000)::int, 'token_hash', sha256(random()::text::bytea),
	'chunk_id', sha256(random()::text::bytea), 'object_key', 'object ' || random(), 'tag', gen_random_uuid(),
	'error_message', gen_random_uuid(), 'is_owner', false, 'is_default', false, 'is_system', false, 'is_active', false)`

// Rows that were there when a walk began are on its pages once, in one order, though many were made at the same time and others are
// added meanwhile: newer ones, and ones between them.
func TestEveryListIsWalkedWholeAndOnceWhileRowsAreAdded(t *testing.T) {
	s := newSpeed(t, 900)
	s.tie()
	for _, l := range s.lists() {
		if l.caller != "" {
			continue // what a limited caller sees TestListsShowExactlyWhatASingleReadFinds compares, over many limits
		}
		keys := s.keys(l)
		require.NotEmpty(t, keys, l.path)
		known := make(map[string]bool, len(keys))
		for _, key := range keys {
			known[key] = true
		}
		columns := s.columnsOf(l)
		limit, cursor := min(len(keys)/3+1, 200), ""
		var walked []string
		seen := make(map[string]bool)
		for {
			answer := s.call(http.MethodGet, fmt.Sprintf("%slimit=%d&cursor=%s", l.path, limit, cursor), nil).ok(http.StatusOK)
			for _, item := range answer.get("items").([]any) {
				key := keyOf(item.(object))
				require.False(t, seen[key], "%s shows %s twice", l.path, key)
				if seen[key] = true; known[key] {
					walked = append(walked, key)
				}
			}
			if cursor = answer.get("next_cursor").(string); cursor == "" {
				break
			}
			s.add(l, columns)
		}
		require.Equal(t, keys, walked, l.path)
	}
}

// tie lets many rows of each table be of the same time, and writes the id of a check, which lists do not show, into its message.
func (s *speed) tie() {
	s.t.Helper()
	_, err := s.conn.Exec(s.t.Context(), `
		SET session_replication_role = replica; -- audit_logs takes no change
		DO $$
		DECLARE name text;
		BEGIN
			FOR name IN SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'created_at' AND table_name <> 'auth_sessions' LOOP
				EXECUTE format('UPDATE %I SET created_at = date_trunc(''year'', created_at)', name);
			END LOOP;
		END $$;
		UPDATE health_checks SET checked_at = date_trunc('month', checked_at), error_message = id::text;
		UPDATE storage_health_checks SET checked_at = date_trunc('month', checked_at), error_message = id::text`)
	require.NoError(s.t, err)
}

// keys are those of all rows of a list in its order.
func (s *speed) keys(l listed) []string {
	s.t.Helper()
	key := "id::text"
	if l.keys != "" && l.ascending { // of the two lists whose order is that of their own key
		key = map[string]string{"chunk_id": "encode(chunk_id, 'hex')", "object_key": "object_key"}[l.keys]
	}
	rows, err := s.conn.Query(s.t.Context(), l.bare(key, "1000000", false))
	require.NoError(s.t, err)
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(s.t, err)
	return keys
}

func keyOf(item object) string {
	for _, name := range []string{"id", "execution_id", "datasource_id", "key", "message"} {
		if key, has := item[name].(string); has {
			return key
		}
	}
	return ""
}

// rowsOf is the table that the rows of a list are in.
func (l listed) rowsOf() string {
	if strings.HasPrefix(l.table, "(") {
		return "backup_executions"
	}
	return l.table
}

// columnsOf are the columns of that table that can be written.
func (s *speed) columnsOf(l listed) string {
	s.t.Helper()
	return s.one(`SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
		WHERE table_schema = 'public' AND is_generated = 'NEVER' AND table_name = '` + l.rowsOf() + `'`)
}

// add copies a row of a list twice: once at its own time, once as of now.
func (s *speed) add(l listed, columns string) {
	s.t.Helper()
	where := "true"
	if l.where != "" {
		where = l.where
	}
	_, err := s.conn.Exec(s.t.Context(), fmt.Sprintf(`INSERT INTO %[1]s (%[2]s)
		SELECT r.* FROM (VALUES ('{}'), (jsonb_build_object('created_at', clock_timestamp(), 'checked_at', clock_timestamp()))) AS extra (changes)
		CROSS JOIN LATERAL (SELECT %[2]s FROM jsonb_populate_record((SELECT t FROM %[1]s t WHERE %[3]s LIMIT 1), %[4]s || extra.changes)) r`,
		l.rowsOf(), columns, where, madeUp))
	require.NoError(s.t, err, l.path)
}
