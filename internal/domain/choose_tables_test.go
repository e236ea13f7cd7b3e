package domain

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTablesAreChosenOfTypesThatHaveThem(t *testing.T) {
	for _, kind := range DatasourceTypes() {
		for field, options := range map[string]BackupOptions{
			"include_tables": {IncludeTables: []string{"customers"}}, "exclude_tables": {ExcludeTables: []string{"log_*"}},
		} {
			found := options.CheckFor(kind, ConnectionConfig{})
			if kind != Files && kind != SQLServer {
				require.Empty(t, found, kind)
				continue
			}
			require.Len(t, found, 1, kind)
			require.Equal(t, field, found[0].Field)
			require.Contains(t, found[0].Message, "leave it out")
		}
	}
}
