package all_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/all"
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
