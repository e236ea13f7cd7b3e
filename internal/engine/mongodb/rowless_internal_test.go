package mongodb

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/mongo"

	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestADuplicateKeyIsToldWithoutItsValues(t *testing.T) {
	const said = `E11000 duplicate key error collection: shop.people index: email_1 dup key: { email: "secret" }`
	for _, err := range []error{
		classify("write", mongo.CommandError{Code: 11000, Message: said}),
		classifyTool("load", &process.ExitError{Program: "mongorestore", Code: 1, Stderr: said + "\nand more of the secret"}),
	} {
		require.ErrorContains(t, err, "index: email_1 dup key: …")
		require.NotContains(t, err.Error(), "secret")
		require.Equal(t, failure.Unknown, failure.ClassOf(err))
	}
}
