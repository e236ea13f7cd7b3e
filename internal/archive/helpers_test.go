package archive

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
)

// Fixed values of the golden files and of every test that does not care.
var (
	testSecret = [32]byte{1, 2, 3, 4, 5, 6, 7, 8}
	testStart  = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
)

const (
	testExecution  = "0198c0de-0000-7000-8000-0000aabbccdd"
	testDatasource = "0198c0de-0000-7000-8000-000011223344"
	// An identity made for these tests; it protects nothing.
	testIdentity = "AGE-SECRET-KEY-16S3RY4JDC35FUEDS3FF36T3A0XUNXAD7JDHMEXQGLXLLZ0JD9K8QUNU2ED"
)

// small are chunk sizes that give many chunks of little data.
var small = Params{Average: 4096, Min: 1024, Max: 8192}

func testDir() string         { return DatasourceDir("Orders DB", testDatasource) }
func testManifestKey() string { return ManifestKey(testDir(), testStart, testExecution, 1) }

// dumpText is size bytes that look like the data section of a pg_dump, the same for the same seed:
// keys that count up, amounts, timestamps, states and some words of prose.
func dumpText(seed uint64, size int) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	words := strings.Fields(`the order was shipped to customer and invoice sent by express courier from warehouse north
		with standard packaging after payment received please call before delivery fragile glass return label included gift`)
	states := []string{"pending", "shipped", "returned", "cancelled"}
	out := make([]byte, 0, size+512)
	for id := int64(1); len(out) < size; id++ {
		out = append(strconv.AppendInt(out, id, 10), '\t')
		out = append(strconv.AppendInt(out, random.Int64N(100_000), 10), '\t')
		out = append(append(out, states[random.IntN(len(states))]...), '\t')
		out = append(strconv.AppendInt(out, random.Int64N(1_000_00), 10), '\t')
		out = append(testStart.Add(time.Duration(id)*time.Second).AppendFormat(out, "2006-01-02 15:04:05+00"), '\t')
		for range 8 + random.IntN(16) {
			out = append(append(out, words[random.IntN(len(words))]...), ' ')
		}
		out = append(out, "\t\\N\tt\n"...)
	}
	return out[:size]
}

// noise is size bytes that do not compress.
func noise(seed uint64, size int) []byte {
	random := rand.New(rand.NewPCG(seed, 2))
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(random.Uint32())
	}
	return out
}

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return id
}

func options(store storage.Store, recipients ...age.Recipient) WriterOptions {
	return WriterOptions{
		Store: store, DatasourceDir: testDir(), Generation: "aabbccdd", Secret: testSecret, Params: small,
		Compression: domain.CompressionZstd, Recipients: recipients, Workers: 2,
	}
}

func testHeader() Header {
	return Header{
		ExecutionID: testExecution, DatasourceID: testDatasource, DatasourceName: "Orders DB",
		DatasourceType: domain.Postgres, BackupType: domain.Full, ServerVersion: "15.18",
		ToolVersions: map[string]string{"pg_dump": "15.18"}, StartedAt: testStart, FinishedAt: testStart.Add(time.Minute),
	}
}

// backup writes data as the stream "main" and commits it.
func backup(t testing.TB, opts WriterOptions, data []byte) (CommitResult, *Writer) {
	t.Helper()
	return backupWith(t, opts, nil, data)
}

func backupWith(t testing.TB, opts WriterOptions, properties map[string]string, data []byte) (CommitResult, *Writer) {
	t.Helper()
	ctx := context.Background()
	w, err := NewWriter(ctx, opts)
	require.NoError(t, err)
	require.NoError(t, w.WriteStream(ctx, StreamMeta{Name: "main", Format: "text", Properties: properties}, bytes.NewReader(data)))
	result, err := w.Commit(ctx, testHeader(), testManifestKey())
	require.NoError(t, err)
	return result, w
}

// restore reads a stream back from what is in the store.
func restore(t testing.TB, store storage.Store, name string, identities ...age.Identity) ([]byte, error) {
	t.Helper()
	ctx := context.Background()
	m, err := OpenManifest(ctx, store, testManifestKey(), "")
	if err != nil {
		return nil, err
	}
	r, err := NewReader(store, m, identities, ReaderOptions{})
	if err != nil {
		return nil, err
	}
	stream, err := r.OpenStream(ctx, name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(stream)
	require.NoError(t, stream.Close())
	return data, err
}

func newMemory() *memory.Store { return memory.New(0) }

// confirmed are known chunks of the test's datasource that were looked for in the store.
func confirmed(t testing.TB, store storage.Store, chunks []StoredChunk, compression domain.Compression, encrypted bool) *KnownChunks {
	t.Helper()
	known := new(KnownChunks)
	require.NoError(t, known.Add(chunks...))
	require.NoError(t, known.Confirm(context.Background(), store, testDir(), compression, encrypted))
	return known
}
