package mysql_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	wholeserver "github.com/dataguardian/dataguardian/internal/engine/databases"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
)

func TestTheIdentityOfAWholeServerIsThatOfEachDatabaseWithoutIt(t *testing.T) {
	ctx, one := enginetest.Context(t), newEngine()
	whole, err := wholeserver.Of(one)
	require.NoError(t, err)
	src := source("")
	src.Config.Databases = &domain.DatabaseSelection{All: true}
	server, err := whole.Identity(ctx, src)
	require.NoError(t, err)
	require.NotEmpty(t, server)
	database, err := one.Identity(ctx, engine.At(source(""), "mysql"))
	require.NoError(t, err)
	require.Equal(t, server+"/mysql", database)
}
