package archive

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rebuildScript is the script in docs/format.md, as a reader would save it.
func rebuildScript(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "format.md"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "```bash\n")
	require.True(t, found, "docs/format.md has no bash block")
	script, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	require.Contains(t, script, "age --decrypt")
	path := filepath.Join(t.TempDir(), "rebuild.sh")
	require.NoError(t, os.WriteFile(path, []byte(script), 0o600))
	return path
}

func TestTheDocumentedLoopRebuildsADump(t *testing.T) {
	for _, tool := range []string{"bash", "jq", "age", "zstd", "sha256sum"} {
		_, err := exec.LookPath(tool)
		require.NoError(t, err, "the documented loop needs %s; `make deps` installs it", tool)
	}
	root, id, data := t.TempDir(), identity(t), dumpText(3, 150_000)
	// A stream with repeated chunks: they are stored once and must be read twice.
	data = append(append(data, make([]byte, 50_000)...), data...)
	store := openLocal(t, root)
	ctx := context.Background()
	w, err := NewWriter(ctx, options(store, identity(t).Recipient(), id.Recipient()))
	require.NoError(t, err)
	require.NoError(t, w.WriteStream(ctx, StreamMeta{Name: "other", Format: "text"}, bytes.NewReader(noise(1, 5000))))
	require.NoError(t, w.WriteStream(ctx, StreamMeta{Name: "the dump", Format: "text"}, bytes.NewReader(data)))
	result, err := w.Commit(ctx, testHeader(), testManifestKey())
	require.NoError(t, err)

	identityFile := filepath.Join(t.TempDir(), "identity.txt")
	require.NoError(t, os.WriteFile(identityFile, []byte(id.String()+"\n"), 0o600))
	script := rebuildScript(t)
	rebuild := func() ([]byte, string, error) {
		var stdout, stderr bytes.Buffer
		cmd := exec.Command("bash", script, root, filepath.Join(root, testManifestKey()), identityFile, "the dump")
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		return stdout.Bytes(), stderr.String(), err
	}
	got, stderr, err := rebuild()
	require.NoError(t, err, stderr)
	require.True(t, bytes.Equal(data, got), "the loop rebuilt %d bytes of %d", len(got), len(data))

	// It stops at a damaged object instead of going on without it.
	damaged := result.Manifest.ObjectKey(int(result.Manifest.Streams[1].Chunks[4]))
	content := contentOf(t, store, damaged)
	content[len(content)-1] ^= 1
	replace(t, store, damaged, content)
	_, stderr, err = rebuild()
	require.Error(t, err)
	require.Contains(t, stderr, "damaged: "+damaged)
}
