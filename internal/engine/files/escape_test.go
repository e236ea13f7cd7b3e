package files_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine/files"
)

// Names are what somebody made, in whatever encoding, and names that look like an escape of another.
var oddNames = map[string]string{
	"plain.txt":              "plain.txt",
	"漢字 🙂":                   "漢字 🙂",
	latin1:                   `caf\xe9 \xff.txt`,
	"caf\xe9":                `caf\xe9`,
	`caf\xe9`:                `caf\x5cxe9`,
	`caf\x5cxe9`:             `caf\x5cx5cxe9`,
	"\\\xe9":                 `\\xe9`,
	"\\x\xe9":                `\x\xe9`,
	"\\x4\xe9":               `\x4\xe9`,
	"cut \xe6\xbc":           `cut \xe6\xbc`,
	"\ufffd is a character":  "\ufffd is a character",
	`\xE9 in capitals`:       `\xE9 in capitals`,
	"line\nbreak and \"\x7f": "line\nbreak and \"\x7f",
}

// What the list of a backup's files says of a path goes through JSON, and restores that file and no other.
func TestEveryNameIsRestoredByThePathThatTheListGives(t *testing.T) {
	root := t.TempDir()
	for name := range oddNames {
		write(t, root, "dir\xe9/"+name, name)
	}
	b := dump(t, source(root), nil)
	folders, _, err := browse(b, "", "", 10)
	require.NoError(t, err)
	require.Equal(t, `dir\xe9`, folders[0].Path)
	entries, _, err := browse(b, folders[0].Path, "", 100)
	require.NoError(t, err)
	require.Len(t, entries, len(oddNames))
	listed := map[string]bool{}
	for _, e := range entries {
		listed[e.Path] = true
	}
	for name, escaped := range oddNames {
		path := folders[0].Path + "/" + escaped
		require.True(t, listed[path], "%q is listed as %s", name, path)
		var asked string
		text, err := json.Marshal(path)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &asked))

		to := filepath.Join(t.TempDir(), "target")
		req := b.Request("abcd", to)
		req.IncludePaths = []string{asked}
		e := files.New(files.Options{})
		_, err = e.Stage(context.Background(), source(to), req, b.Opener())
		require.NoError(t, err, path)
		_, err = e.Promote(context.Background(), source(to), req)
		require.NoError(t, err, path)
		restored, err := os.ReadDir(filepath.Join(to, "dir\xe9"))
		require.NoError(t, err)
		require.Len(t, restored, 1)
		require.Equal(t, name, restored[0].Name())
		require.Equal(t, name, read(t, filepath.Join(to, "dir\xe9", name)))
	}
}

func TestAnEscapeLeadsNowhereElse(t *testing.T) {
	b := dump(t, source(newTree(t)), nil)
	for _, path := range []string{`\x2e\x2e/etc`, `a\x00b`, `a/\x2e\x2e/\x2e\x2e/b`} {
		req := b.Request("abcd", filepath.Join(t.TempDir(), "target"))
		req.IncludePaths = []string{path}
		require.ErrorContains(t, files.New(files.Options{}).CheckTarget(context.Background(), source(req.Target), req), "is not a path in the backup", path)
	}
}
