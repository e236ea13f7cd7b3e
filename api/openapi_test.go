package api

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite docs/openapi.json from the code")

func TestTheCommittedOpenAPIDocumentIsInStep(t *testing.T) {
	document, err := OpenAPI()
	require.NoError(t, err)
	path := filepath.Join("..", "docs", "openapi.json")
	if *update {
		require.NoError(t, os.WriteFile(path, document, 0o644))
	}
	committed, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(committed), string(document), "run: go test ./api -run OpenAPI -update")
}
