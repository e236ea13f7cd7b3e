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

func TestTheBeginningOfASecretAtTheEndOfACutTextIsMasked(t *testing.T) {
	for text, want := range map[string]string{
		"refused key-1-of-the-ser":               "refused ********",
		"refused k":                              "refused ********",
		"refused key-1-of-the-server":            "refused ********",
		"refused key-1-of-the-server, k is left": "refused ********, k is left",
		"postgres://app:hunt":                    "postgres://app:********",
		`password = "two words`:                  "password = ********",
		"all is well":                            "all is well",
		"":                                       "",
	} {
		require.Equal(t, want, failure.RedactCut(text, "key-1-of-the-server", "ab"), text)
	}
	require.Equal(t, "refused key-1-of-the-ser", failure.Redact("refused key-1-of-the-ser", "key-1-of-the-server"))
}
