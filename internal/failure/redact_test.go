package failure_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestASecretThatBeginsWithAnotherIsMaskedWhole(t *testing.T) {
	given := []string{"key-1", "key-1-of-the-server"}
	require.Equal(t, "refused ********, not ********", failure.Redact("refused key-1-of-the-server, not key-1", given...))
	require.Equal(t, []string{"key-1", "key-1-of-the-server"}, given, "the caller's list stays as it is")
}
