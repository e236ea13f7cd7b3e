package all_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/all"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb"
	"github.com/dataguardian/dataguardian/internal/engine/mysql"
	"github.com/dataguardian/dataguardian/internal/engine/postgres"
	"github.com/dataguardian/dataguardian/internal/engine/sqlite"
	"github.com/dataguardian/dataguardian/internal/engine/sqlserver"
)

func TestEveryDatasourceTypeThatIsAcceptedHasAnEngine(t *testing.T) {
	engines := all.Engines(all.Options{})
	for _, kind := range domain.DatasourceTypes() {
		e, found := engines[kind]
		require.Equal(t, domain.SupportedDatasource(kind), found, kind)
		if found {
			require.Equal(t, kind, e.Type())
		}
	}
}

// Who reads a backup without us finds what reads each of its streams.
func TestTheFormatOfEveryStreamIsDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "format.md"))
	require.NoError(t, err)
	for _, format := range []string{
		postgres.Format, postgres.DirectoryFormat, postgres.BundleFormat, postgres.GlobalsFormat, mysql.Format, mysql.AccountsFormat,
		mongodb.Format, mongodb.ChangesFormat, sqlserver.Format, sqlite.Format, "files-tar", "files-index-1", "referenced-files-tar",
	} {
		require.Contains(t, string(page), "`"+format+"`")
	}
}
