package integration

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// check reconciles, and looks at everything that the run has left.
func (c *chaos) check() {
	c.t.Helper()
	c.reconcileUnder()
	c.requireClean(c.t)
	c.requireExact(c.t)
	backups := c.completed()
	for _, e := range backups {
		c.requireChunkRows(e)
		if c.options.ParallelJobs > 1 {
			c.restoreOf(e, false)
		} else {
			require.Equal(c.t, c.expected[e.ID], c.contentOfBackup(e), "backup %s", e.ID)
		}
	}
	if len(backups) > 0 && c.options.ParallelJobs < 2 {
		c.restoreOf(pick(c.rng, backups...), false)
	}
	c.requireNothingOpen()
	c.requireNoDatabaseLeft()
	require.Eventually(c.t, func() bool { return len(toolsOf(c.database)) == 0 }, patience, 50*time.Millisecond, "child processes are left")
}

// requireChunkRows fails unless the catalogue has exactly the chunks of the manifest.
func (c *chaos) requireChunkRows(e client.Execution) {
	c.t.Helper()
	rows, err := shared.db.ListChunks(c.t.Context(), e.ID)
	require.NoError(c.t, err)
	var known, named []string
	for _, row := range rows {
		known = append(known, fmt.Sprintf("%s/%x %d %d %x", row.Generation, row.ID[:], row.PlainBytes, row.StoredBytes, row.Checksum))
	}
	manifest := c.manifest(e)
	for i, o := range manifest.Objects {
		named = append(named, fmt.Sprintf("%s/%x %d %d %x", manifest.Folder(i), o.ID[:], o.PlainBytes, o.StoredBytes, o.Checksum))
	}
	require.ElementsMatch(c.t, named, known)
}

func (c *chaos) manifest(e client.Execution) *archive.Manifest {
	c.t.Helper()
	manifest, err := archive.OpenManifest(c.t.Context(), c.store(c.t), e.Metadata.ManifestPath, e.Metadata.ManifestSHA256)
	require.NoError(c.t, err)
	return manifest
}

func (c *chaos) requireNothingOpen() {
	c.t.Helper()
	open := 0
	c.query("dataguardian", func(conn *pgx.Conn) error {
		return conn.QueryRow(c.t.Context(), `select count(*) from backup_executions where datasource_id = $1
			and (status in ('queued', 'running') or deleting_at is not null)`, c.datasource.ID).Scan(&open)
	})
	require.Zero(c.t, open, "executions are open or half deleted")
}

// requireNoDatabaseLeft fails when a restore left a staging, a scratch or a replaced database.
func (c *chaos) requireNoDatabaseLeft() {
	c.t.Helper()
	var left []string
	c.query("postgres", func(conn *pgx.Conn) error {
		tokens := make([]string, len(c.restores))
		for i, e := range c.restores {
			tokens[i] = "%" + domain.ID8(e.ID) + "%"
		}
		return conn.QueryRow(c.t.Context(), "select coalesce(array_agg(datname::text), '{}') from pg_database where datname like any ($1) or (starts_with(datname, $2) and datname <> $2)",
			tokens, c.database).Scan(&left)
	})
	require.Empty(c.t, left)
}

// query runs on a connection that is closed afterwards: runs are many.
func (c *chaos) query(database string, ask func(*pgx.Conn) error) {
	c.t.Helper()
	require.NoError(c.t, withConn(c.t.Context(), database, ask))
}

func (c *chaos) inDatabase(database, statement string) {
	c.t.Helper()
	c.query(database, func(conn *pgx.Conn) error {
		_, err := conn.Exec(c.t.Context(), statement)
		return err
	})
}

func withConn(ctx context.Context, database string, ask func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, shared.postgres.DatabaseURL(database))
	if err != nil {
		return err
	}
	return errors.Join(ask(conn), conn.Close(ctx))
}

// contentOf is every row of every table of a database, hashed table by table.
func contentOf(t *testing.T, database string) string {
	t.Helper()
	tables := map[string][][]byte{}
	err := withConn(t.Context(), database, func(conn *pgx.Conn) error {
		rows, err := conn.Query(t.Context(), "select tablename from pg_tables where schemaname = 'public'")
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		for _, name := range names {
			var out bytes.Buffer
			if _, err := conn.PgConn().CopyTo(t.Context(), &out, "copy public."+name+" to stdout"); err != nil {
				return err
			}
			tables["public."+name] = bytes.SplitAfter(out.Bytes(), []byte("\n"))
		}
		return err
	})
	require.NoError(t, err)
	return digest(tables)
}

// digest hashes the tables' rows in the order of their text.
func digest(tables map[string][][]byte) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		rows := slices.DeleteFunc(tables[name], func(row []byte) bool { return len(row) == 0 })
		slices.SortFunc(rows, bytes.Compare)
		hash := sha256.New()
		for _, row := range rows {
			_, _ = hash.Write(row)
		}
		fmt.Fprintf(&text, "%s %d rows %x\n", name, len(rows), hash.Sum(nil))
	}
	return text.String()
}

// contentOfBackup is contentOf of what a backup by one job holds, read by pg_restore without a server.
func (c *chaos) contentOfBackup(e client.Execution) string {
	c.t.Helper()
	secret, _, err := shared.db.AgeIdentity(c.t.Context())
	require.NoError(c.t, err)
	identity, err := age.ParseX25519Identity(secret)
	require.NoError(c.t, err)
	manifest := c.manifest(e)
	require.Len(c.t, manifest.Streams, 1)
	reader, err := archive.NewReader(c.store(c.t), manifest, []age.Identity{identity}, archive.ReaderOptions{})
	require.NoError(c.t, err)
	dump, err := reader.OpenStream(c.t.Context(), manifest.Streams[0].Name)
	require.NoError(c.t, err)
	defer func() { _ = dump.Close() }()
	cmd := exec.CommandContext(c.t.Context(), filepath.Join(shared.postgres.BinDir(), "pg_restore"), "--file=-", "--format=custom")
	cmd.Stdin, cmd.Stderr = dump, os.Stderr
	script, err := cmd.StdoutPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, cmd.Start())
	tables, err := copiedIn(script)
	require.NoError(c.t, err)
	require.NoError(c.t, cmd.Wait())
	return digest(tables)
}

// copiedIn collects the rows of the COPY commands in a script of pg_restore.
func copiedIn(script io.Reader) (map[string][][]byte, error) {
	tables := map[string][][]byte{}
	lines := bufio.NewReader(script)
	table := ""
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				return tables, nil
			}
			return nil, err
		}
		switch name, is := bytes.CutPrefix(line, []byte("COPY ")); {
		case table == "" && is && bytes.HasSuffix(line, []byte(" FROM stdin;\n")):
			table = string(bytes.Fields(name)[0])
			tables[table] = [][]byte{}
		case table != "" && string(line) == "\\.\n":
			table = ""
		case table != "":
			tables[table] = append(tables[table], line)
		}
	}
}

// toolsOf are the dump and load programs that work on a database, or on one of a restore of it.
func toolsOf(database string) (found []string) {
	entries, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, entry := range entries {
		line, _ := os.ReadFile(entry)
		name := filepath.Base(strings.SplitN(string(line), "\x00", 2)[0])
		if (name == "pg_dump" || name == "pg_restore") && strings.Contains(string(line)+environ(entry), database) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}
