package sqlite_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

func TestTheSchemaIsBounded(t *testing.T) {
	src := newSample(t)
	db := connect(t, src.Config.FilePath)
	var script strings.Builder
	for i := range domain.MaxSchemaObjects {
		fmt.Fprintf(&script, "CREATE VIEW many%d AS SELECT 1 AS a; ", i)
	}
	exec(t, db, "BEGIN; "+script.String()+"COMMIT")
	require.NoError(t, db.Close())
	schema, err := newEngine().Schema(enginetest.Context(t), src)
	require.NoError(t, err)
	require.True(t, schema.Truncated)
	require.LessOrEqual(t, len(schema.Objects), domain.MaxSchemaObjects)
	require.NotEmpty(t, schema.Objects)
}
